import { Controller, Get, Header } from '@nestjs/common';
import { NeedsRole } from './role.js';
import { ApiExcludeController } from './api-decorators.js';
import { Registry } from 'prom-client';

@ApiExcludeController()
@NeedsRole('read')
@Controller('metrics')
export class MetricsController {
  constructor(private readonly registry: Registry) {}

  /** Prometheus text format. */
  @Get()
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}
