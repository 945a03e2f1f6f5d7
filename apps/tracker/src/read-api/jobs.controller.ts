import { Controller, Get, Param, Query } from '@nestjs/common';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { BatchView, JobDetail, JobSummary } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { JobReader } from './job.reader.js';
import { ProblemResponses } from './problem-responses.js';
import { BatchesQuery, JobPath, JobsQuery, NoQuery } from './queries.dto.js';
import { BatchPageDto, JobDetailDto, JobPageDto } from './views.dto.js';

@ApiTags('jobs')
@Controller('jobs')
export class JobsController {
  constructor(private readonly jobs: JobReader) {}

  /** Jobs, newest first. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: JobPageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: JobsQuery): Promise<Page<JobSummary>> {
    return this.jobs.list(query);
  }

  /** One job: its sums, and how far each stage has come. */
  @NeedsRole('read')
  @Get(':id')
  @ApiOkResponse({ type: JobDetailDto })
  @ProblemResponses(400, 404, 503)
  async detail(@Param() { id }: JobPath, @Query() _query: NoQuery): Promise<JobDetail> {
    return (await this.jobs.detail(id)) ?? this.isUnknown(id);
  }

  /** Its batches, and what each stage has announced of them. */
  @NeedsRole('read')
  @Get(':id/batches')
  @ApiOkResponse({ type: BatchPageDto })
  @ProblemResponses(400, 404, 503)
  async batches(@Param() { id }: JobPath, @Query() query: BatchesQuery): Promise<Page<BatchView>> {
    return (await this.jobs.batches(id, query)) ?? this.isUnknown(id);
  }

  /** @throws SluiceError JOB_UNKNOWN */
  private async isUnknown(id: string): Promise<never> {
    const dataset = await this.jobs.prunedOfStream(id);
    if (dataset === null) return known<never>(id, null);
    throw new SluiceError(
      'JOB_UNKNOWN',
      `Job ${id} is not kept: jobs of the stream of ${dataset} from that hour were added up and deleted. Their dead letters are kept.`,
      { job: id, dataset },
    );
  }
}

/** @throws SluiceError JOB_UNKNOWN */
export function known<T>(id: string, found: T | null): T {
  if (found === null) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
  return found;
}
