import { Controller, Get, Injectable, Res } from '@nestjs/common';
import { NeedsRole } from './role.js';
import { ApiExcludeController } from './api-decorators.js';
import { OWN_BUILD } from '../telemetry/build.js';

/** One part of a service that reports its health. Both return sentences; none means healthy. */
export interface HealthSource {
  /** Why the process should be ended and started again. */
  notLive(): string[];
  /** Why no work should be sent here now. */
  notReady(): string[];
}

/** Collects the parts of one service; `draining` turns it not ready at once. */
@Injectable()
export class Health {
  private readonly sources: HealthSource[] = [];
  private readonly noted: string[] = [];
  private isDraining = false;

  add(source: HealthSource): void {
    this.sources.push(source);
  }

  drain(): void {
    this.isDraining = true;
  }

  /** A sentence about how the service is set up; it does not make the service unhealthy. */
  warn(sentence: string): void {
    this.noted.push(sentence);
  }

  warnings(): readonly string[] {
    return this.noted;
  }

  notLive(): string[] {
    return this.sources.flatMap((source) => source.notLive());
  }

  notReady(): string[] {
    const problems = this.sources.flatMap((source) => source.notReady());
    if (this.sources.length === 0) problems.push('starting');
    return this.isDraining ? ['draining', ...problems] : problems;
  }
}

export interface HealthAnswer {
  readonly status: 'ok' | 'not ok';
  readonly problems: readonly string[];
  /** What is risky in the settings; left out when nothing is. */
  readonly warnings?: readonly string[];
  /** Identifies the process: whatever started the service can distinguish it from another one on the same port. */
  readonly pid: number;
  /** The build that the process runs; null when it does not run from a build. */
  readonly build: string | null;
}

interface StatusSetter {
  status(code: number): unknown;
}

@ApiExcludeController()
@NeedsRole('none')
@Controller('health')
export class HealthController {
  constructor(private readonly health: Health) {}

  /** 503 when only a restart can help: progress, not mere life. */
  @Get('live')
  live(@Res({ passthrough: true }) response: StatusSetter): HealthAnswer {
    return this.answer(this.health.notLive(), response);
  }

  /** 503 while starting, waiting for a dependency, or draining. */
  @Get('ready')
  ready(@Res({ passthrough: true }) response: StatusSetter): HealthAnswer {
    return this.answer(this.health.notReady(), response);
  }

  private answer(problems: readonly string[], response: StatusSetter): HealthAnswer {
    if (problems.length > 0) response.status(503);
    const warnings = this.health.warnings();
    return {
      status: problems.length === 0 ? 'ok' : 'not ok',
      problems,
      ...(warnings.length > 0 ? { warnings } : {}),
      pid: process.pid,
      build: OWN_BUILD,
    };
  }
}
