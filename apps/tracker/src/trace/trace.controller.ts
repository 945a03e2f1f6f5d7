import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import {
  type BeforeApplicationShutdown,
  Body,
  Controller,
  HttpCode,
  Inject,
  Post,
  Res,
} from '@nestjs/common';
import { NeedsRole } from '#common/http/role.js';
import { ApiExtraModels, ApiOkResponse, ApiTags, getSchemaPath } from '#common/http/api-decorators.js';
import type { Logger } from 'pino';
import type { TraceLine, TraceProgress } from '#api/trace.js';
import { ProblemDetailsFilter } from '#common/http/problem-details.filter.js';
import { LOGGER } from '#common/providers/tokens.js';
import { ProblemResponses } from '../read-api/problem-responses.js';
import { TraceLineDto, TraceRequestDto } from './trace.dto.js';
import { type ReadyTrace, Tracer } from './tracer.js';

/** The shortest time between two reports of progress. */
const PROGRESS_EVERY_MS = 500;

@ApiTags('trace')
@Controller()
export class TraceController implements BeforeApplicationShutdown {
  private readonly running = new Set<AbortController>();

  constructor(
    private readonly tracer: Tracer,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** A search may take minutes, and the HTTP server closes when its last answer has ended. */
  beforeApplicationShutdown(): void {
    for (const controller of this.running) controller.abort();
  }

  /**
   * Why a row is missing, or as it is. The answer is NDJSON: lines of progress, then one line with the trace, or with the error
   * that ended it. A client that leaves ends the search.
   */
  @NeedsRole('read')
  @Post('traces')
  @HttpCode(200)
  @ApiExtraModels(TraceLineDto)
  @ApiOkResponse({
    description: 'One JSON object a line; the last one has `trace` or `error`',
    content: { 'application/x-ndjson': { schema: { $ref: getSchemaPath(TraceLineDto) } } },
  })
  @ProblemResponses(400, 404, 422, 503)
  async trace(@Body() request: TraceRequestDto, @Res() response: ServerResponse): Promise<void> {
    const ready = this.tracer.ready(request);
    const controller = new AbortController();
    this.running.add(controller);
    response.on('close', () => {
      controller.abort();
    });
    try {
      await this.answer(ready, response, controller.signal);
    } finally {
      this.running.delete(controller);
    }
  }

  private async answer(ready: ReadyTrace, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const write = async (line: TraceLine): Promise<void> => {
      if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
      if (!response.write(`${JSON.stringify(line)}\n`)) await once(response, 'drain', { signal });
    };
    let toldAt = -Infinity;
    const progressed = async (progress: TraceProgress): Promise<void> => {
      const now = performance.now();
      if (now - toldAt < PROGRESS_EVERY_MS && progress.searched < progress.of) return;
      toldAt = now;
      await write({ progress });
    };
    try {
      await write({ trace: await this.tracer.trace(ready, progressed, signal) });
    } catch (error) {
      if (!signal.aborted && !response.headersSent) throw error;
      if (signal.aborted) {
        response.destroy();
        return;
      }
      // Too late for a status: the line says what problem details would have said.
      const { code, detail } = new ProblemDetailsFilter(this.logger).problemOf(error);
      await write({ error: { code, message: detail } });
    }
    response.end();
  }
}
