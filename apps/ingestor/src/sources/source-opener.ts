import { Injectable } from '@nestjs/common';
import { Settings } from '#common/config/environment.js';
import type { SourceRequest } from '#core/source/source-request.js';
import type { OpenedSource } from './message-source.js';
import { openSource } from './open-source.js';

/** Opens sources with the ingestor's settings. */
@Injectable()
export class SourceOpener {
  constructor(private readonly settings: Settings) {}

  /** See `openSource`. */
  open(request: SourceRequest, signal: AbortSignal): Promise<OpenedSource> {
    return openSource(request, this.settings, signal);
  }
}
