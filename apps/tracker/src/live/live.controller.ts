import type { Server } from 'node:http';
import {
  type BeforeApplicationShutdown,
  Controller,
  Inject,
  type MessageEvent,
  Param,
  Query,
  Sse,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { NeedsRole } from '#common/http/role.js';
import { ApiExtraModels, ApiOkResponse, ApiTags, getSchemaPath } from '#common/http/api-decorators.js';
import { type Observable, endWith, ignoreElements, interval, map, merge, takeUntil } from 'rxjs';
import { JobReader } from '../read-api/job.reader.js';
import { known } from '../read-api/jobs.controller.js';
import { ProblemResponses } from '../read-api/problem-responses.js';
import { JobPath, NoQuery } from '../read-api/queries.dto.js';
import { JobDetailDto } from '../read-api/views.dto.js';
import { JobStreams } from './job-streams.js';
import { LIVE_TIMING, type LiveTiming } from './live-timing.js';

@ApiTags('jobs')
@Controller('jobs')
export class LiveController implements BeforeApplicationShutdown {
  constructor(
    private readonly jobs: JobReader,
    private readonly watcher: JobStreams,
    @Inject(LIVE_TIMING) private readonly timing: LiveTiming,
    private readonly http: HttpAdapterHost,
  ) {}

  /**
   * The HTTP server closes only when its last connection has: streams end before it is closed, and their
   * connections are not kept for another request, which would cost five seconds of the time to drain.
   */
  beforeApplicationShutdown(): void {
    const server = this.http.httpAdapter.getHttpServer() as Server;
    server.keepAliveTimeout = 1;
    this.watcher.endAll();
  }

  /**
   * The job as it is now, then again after each change, at most once a second. Ends when the job is final
   * and all its dead letters are known. Comments in between are heartbeats.
   */
  @NeedsRole('read')
  @Sse(':id/events')
  @ApiExtraModels(JobDetailDto)
  @ApiOkResponse({
    description: 'Server-sent events; the data of each is a job',
    content: { 'text/event-stream': { schema: { $ref: getSchemaPath(JobDetailDto) } } },
  })
  @ProblemResponses(400, 404, 503)
  async events(@Param() { id }: JobPath, @Query() _query: NoQuery): Promise<Observable<MessageEvent>> {
    known(id, await this.jobs.detail(id));
    const details = this.watcher.watch(id);
    const ended = details.pipe(ignoreElements(), endWith(null));
    const heartbeats = interval(this.timing.heartbeatIntervalMs).pipe(takeUntil(ended));
    return merge(
      details.pipe(map((detail): MessageEvent => ({ data: detail }))),
      heartbeats.pipe(map((): MessageEvent => ({ comment: 'heartbeat' }))),
    );
  }
}
