import { ApiProperty } from '@nestjs/swagger';
import type { DiscardedWork } from '#core/job/job.entity.js';
import { JOB_STATES, type JobState } from '#core/job/job-state.js';
import type { JobAccepted, JobCancelled, ResumeRequest } from '#core/job/job-view.js';
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

  @ApiProperty({ description: 'Batches that were published and not loaded; at least so many' })
  pendingBatches!: number;

  @ApiProperty()
  pendingRecords!: number;
}

/** Answer of `POST /jobs/:id/cancel`. */
export class JobCancelledDto extends JobAcceptedDto implements JobCancelled {
  @ApiProperty()
  discarded!: DiscardedWorkDto;
}
