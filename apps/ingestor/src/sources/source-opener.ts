import { Injectable } from '@nestjs/common';
import { Settings } from '#common/config/environment.js';
import type { SourceRequest } from '#core/source/source-request.js';
import type { OpenedSource } from './message-source.js';
import { IngestorMetrics } from '../ingestor.metrics.js';
import { openSource } from './open-source.js';
import { SOURCE_KINDS } from './source-kinds.js';

/** Opens sources with the ingestor's settings. */
@Injectable()
export class SourceOpener {
  constructor(
    private readonly settings: Settings,
    private readonly metrics: IngestorMetrics,
  ) {}

  /** See `openSource`. */
  open(request: SourceRequest, signal: AbortSignal): Promise<OpenedSource> {
    return openSource(request, this.settings, signal, SOURCE_KINDS, (code) => {
      this.metrics.sourceRetried(code);
    });
  }
}
