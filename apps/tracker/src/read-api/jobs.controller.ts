import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { BatchView, JobDetail, JobSummary, Page } from '#core/job/job-view.js';
import { JobReader } from './job.reader.js';
import { ProblemResponses } from './problem-responses.js';
import { BatchesQuery, JobPath, JobsQuery, NoQuery } from './queries.dto.js';
import { BatchPageDto, JobDetailDto, JobPageDto } from './views.dto.js';

@ApiTags('jobs')
@Controller('jobs')
export class JobsController {
  constructor(private readonly jobs: JobReader) {}

  /** Jobs, newest first. */
  @Get()
  @ApiOkResponse({ type: JobPageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: JobsQuery): Promise<Page<JobSummary>> {
    return this.jobs.list(query);
  }

  /** One job: its sums, and how far each stage has come. */
  @Get(':id')
  @ApiOkResponse({ type: JobDetailDto })
  @ProblemResponses(400, 404, 503)
  async detail(@Param() { id }: JobPath, @Query() _query: NoQuery): Promise<JobDetail> {
    return known(id, await this.jobs.detail(id));
  }

  /** Its batches, and what each stage has announced about them. */
  @Get(':id/batches')
  @ApiOkResponse({ type: BatchPageDto })
  @ProblemResponses(400, 404, 503)
  async batches(@Param() { id }: JobPath, @Query() query: BatchesQuery): Promise<Page<BatchView>> {
    return known(id, await this.jobs.batches(id, query));
  }
}

/** @throws SluiceError JOB_UNKNOWN */
export function known<T>(id: string, found: T | null): T {
  if (found === null) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
  return found;
}
