import { ApiProperty } from '#common/http/api-decorators.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { DiscardedWork } from '#api/job-facts.js';
import { JOB_STATES, type JobState } from '#api/job-words.js';
import type { JobAccepted, JobCancelled, ResumeRequest } from '#api/jobs.js';
import { LimitsDto } from './limits.dto.js';

/** Body of `POST /jobs/resume` and `POST /jobs/:id/resume`: limits that made the job fail may be raised. */
export class ResumeRequestDto extends LimitsDto implements ResumeRequest {}

/** The job and the state that it has now. */
export class JobAcceptedDto implements JobAccepted {
  @ApiProperty()
  id!: string;

  @ApiProperty()
  dataset!: string;

  @ApiProperty({ enum: JOB_STATES })
  state!: JobState;
}

class DiscardedWorkDto implements DiscardedWork {
  @ApiProperty({ description: 'Batches that were loaded into staging' })
  loadedBatches!: number;

  @ApiProperty()
  loadedRecords!: number;

  @ApiProperty({ description: 'Batches that were published and not loaded; a lower bound' })
  pendingBatches!: number;

  @ApiProperty()
  pendingRecords!: number;
}

/** Answer of `POST /jobs/:id/cancel`. */
export class JobCancelledDto extends JobAcceptedDto implements JobCancelled {
  @ApiProperty()
  discarded!: DiscardedWorkDto;
}

export type Checked = AllAgree<
  [
    Agree<ResumeRequestDto, ResumeRequest>,
    Agree<JobAcceptedDto, JobAccepted>,
    Agree<JobCancelledDto, JobCancelled>,
  ]
>;
