import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import { WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';
import type { DiscardedWork, JobCounts, JobError, JobProblem, PauseDetail } from '#core/job/job.entity.js';
import { JOB_STATES, type JobState, PAUSE_REASONS, type PauseReason } from '#core/job/job-state.js';
import { type JobWait, WAIT_CODES, WAIT_STAGES, type WaitCode, type WaitStage } from '#core/job/job-wait.js';
import {
  type BatchView,
  type DatasetView,
  type DeadLetterView,
  type JobDetail,
  type JobSummary,
  PARKED_STATES,
  type Page,
  type ParkedMessageContent,
  type ParkedMessageView,
  type ParkedState,
  type Problem,
  type StageProgress,
  type UnknownMember,
} from '#core/job/job-view.js';
import { STAGES, type Stage } from '#core/message/status-event.js';
import type { Finding } from '#core/record/finding.js';

/**
 * The shapes of job-view.ts once more as classes: OpenAPI's schemas need something at run time. `implements`
 * keeps them from drifting apart.
 */

const integer: ApiPropertyOptions = { type: 'integer' };
const integerOrNull: ApiPropertyOptions = { type: 'integer', nullable: true };
const numberOrNull: ApiPropertyOptions = { type: Number, nullable: true };
const textOrNull: ApiPropertyOptions = { type: String, nullable: true };
const time: ApiPropertyOptions = { type: String, format: 'date-time' };
const timeOrNull: ApiPropertyOptions = { ...time, nullable: true };
const countsByCode: ApiPropertyOptions = { type: 'object', additionalProperties: { type: 'integer' } };
const cursorOrNull: ApiPropertyOptions = { ...textOrNull, description: 'Pass as `cursor`; null at the end' };

class JobCountsDto implements JobCounts {
  @ApiProperty(integer) readonly read!: number;
  @ApiProperty(integer) readonly accepted!: number;
  @ApiProperty(integer) readonly refused!: number;
  @ApiProperty(integer) readonly refusedAtValidate!: number;
  @ApiProperty(integer) readonly refusedAtLoad!: number;
  @ApiProperty(integer) readonly skipped!: number;
  @ApiProperty(integer) readonly loaded!: number;
  @ApiProperty(integer) readonly inserted!: number;
  @ApiProperty(integer) readonly updated!: number;
  @ApiProperty(integer) readonly unchanged!: number;
  @ApiProperty(integer) readonly superseded!: number;
  @ApiProperty(integer) readonly warnings!: number;
}

class JobErrorDto implements JobError {
  @ApiProperty() readonly code!: string;
  @ApiProperty() readonly message!: string;
  @ApiProperty() readonly action!: string;
}

class ReasonCountDto {
  @ApiProperty() readonly code!: string;
  @ApiProperty(integer) readonly count!: number;
}

class PauseDetailDto extends JobErrorDto implements PauseDetail {
  @ApiPropertyOptional({ ...integer, description: 'Of the breaker’s window' }) readonly records?: number;
  @ApiPropertyOptional(integer) readonly refused?: number;
  @ApiPropertyOptional({ type: [ReasonCountDto], description: 'Most frequent first' })
  readonly reasons?: ReasonCountDto[];
}

class JobProblemDto extends JobErrorDto implements JobProblem {
  @ApiProperty(integer) readonly firstMissingBatch!: number;
}

class JobWaitDto implements JobWait {
  @ApiProperty({ enum: WAIT_STAGES }) readonly stage!: WaitStage;
  @ApiProperty({ enum: Object.keys(WAIT_CODES) }) readonly code!: WaitCode;
  @ApiProperty() readonly message!: string;
  @ApiProperty(time) readonly since!: string;
}

class DiscardedWorkDto implements DiscardedWork {
  @ApiProperty(integer) readonly loadedBatches!: number;
  @ApiProperty(integer) readonly loadedRecords!: number;
  @ApiProperty(integer) readonly pendingBatches!: number;
  @ApiProperty(integer) readonly pendingRecords!: number;
}

class JobSummaryDto implements JobSummary {
  @ApiProperty({ format: 'uuid' }) readonly id!: string;
  @ApiProperty() readonly dataset!: string;
  @ApiProperty({ enum: WRITE_MODES }) readonly mode!: WriteMode;
  @ApiProperty() readonly dryRun!: boolean;
  @ApiProperty({ enum: JOB_STATES }) readonly state!: JobState;
  @ApiProperty({ description: 'Running with an expired lease' }) readonly interrupted!: boolean;
  @ApiProperty({ enum: PAUSE_REASONS, nullable: true })
  readonly pauseReason!: PauseReason | null;
  @ApiProperty({ type: PauseDetailDto, nullable: true }) readonly pauseDetail!: PauseDetailDto | null;
  @ApiProperty({ type: JobProblemDto, nullable: true, description: 'Why it cannot complete by itself' })
  readonly problem!: JobProblemDto | null;
  @ApiProperty({ type: JobWaitDto, nullable: true, description: 'What it waits for; it goes on by itself' })
  readonly wait!: JobWaitDto | null;
  @ApiProperty({ description: 'Failed, and can be taken up again' }) readonly resumable!: boolean;
  @ApiProperty({ type: DiscardedWorkDto, nullable: true, description: 'What cancelling threw away' })
  readonly discarded!: DiscardedWorkDto | null;
  @ApiProperty({ description: 'Without credentials' }) readonly source!: string;
  @ApiProperty(integerOrNull) readonly limit!: number | null;
  @ApiProperty(time) readonly createdAt!: string;
  @ApiProperty(timeOrNull) readonly startedAt!: string | null;
  @ApiProperty(timeOrNull) readonly finishedAt!: string | null;
  @ApiProperty({ ...numberOrNull, description: 'From start to finish, or to now' }) readonly seconds!:
    number | null;
  @ApiProperty({ type: JobCountsDto, nullable: true }) readonly counts!: JobCountsDto | null;
  @ApiProperty({ type: JobErrorDto, nullable: true }) readonly error!: JobErrorDto | null;
}

class StageProgressDto implements StageProgress {
  @ApiProperty({ enum: STAGES }) readonly stage!: Stage;
  @ApiProperty(integer) readonly batches!: number;
  @ApiProperty(integer) readonly records!: number;
  @ApiProperty(integer) readonly bytes!: number;
  @ApiProperty(integer) readonly accepted!: number;
  @ApiProperty(integer) readonly refused!: number;
  @ApiProperty(integer) readonly skipped!: number;
  @ApiProperty(integer) readonly warnings!: number;
  @ApiProperty(integerOrNull) readonly totalRecords!: number | null;
  @ApiProperty({ ...integerOrNull, description: 'Of the records alone; from the source’s size at first' })
  readonly totalBytes!: number | null;
  @ApiProperty(numberOrNull) readonly recordsPerSecond!: number | null;
  @ApiProperty(numberOrNull) readonly etaSeconds!: number | null;
  @ApiProperty() readonly done!: boolean;
}

class KnownLettersDto {
  @ApiProperty(integer) readonly known!: number;
  @ApiProperty({ ...integerOrNull, description: 'Null until the job has ended and was counted' })
  readonly expected!: number | null;
  @ApiProperty({ description: 'The job is final and every one of them is known' })
  readonly complete!: boolean;
}

class UnknownMemberDto implements UnknownMember {
  @ApiProperty({ description: 'At most 64 characters, control characters written out' })
  readonly name!: string;
  @ApiProperty({ ...integer, description: 'Records that hold it' }) readonly records!: number;
}

export class JobDetailDto extends JobSummaryDto implements JobDetail {
  @ApiProperty({ ...countsByCode, description: 'Finding code → how often' })
  readonly findings!: Record<string, number>;
  @ApiProperty({
    type: [UnknownMemberDto],
    description: 'NDJSON: not read by the contract, the most frequent first',
  })
  readonly unknownMembers!: UnknownMemberDto[];
  @ApiProperty({ type: [StageProgressDto] }) readonly stages!: StageProgressDto[];
  @ApiProperty({ ...textOrNull, description: 'What finalization is doing now' }) readonly step!:
    string | null;
  @ApiProperty({ type: KnownLettersDto }) readonly deadLetters!: KnownLettersDto;
}

export class JobPageDto implements Page<JobSummary> {
  @ApiProperty({ type: [JobSummaryDto] }) readonly items!: JobSummaryDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

class BatchDto implements BatchView {
  @ApiProperty(integer) readonly batch!: number;
  @ApiProperty(integer) readonly records!: number;
  @ApiProperty(integer) readonly bytes!: number;
  @ApiProperty(timeOrNull) readonly ingestedAt!: string | null;
  @ApiProperty(timeOrNull) readonly validatedAt!: string | null;
  @ApiProperty(timeOrNull) readonly loadedAt!: string | null;
  @ApiProperty({ ...integerOrNull, description: 'Null until validated; so are the next two' })
  readonly accepted!: number | null;
  @ApiProperty(integerOrNull) readonly refused!: number | null;
  @ApiProperty(integerOrNull) readonly skipped!: number | null;
}

export class BatchPageDto implements Page<BatchView> {
  @ApiProperty({ type: [BatchDto] }) readonly items!: BatchDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

class FindingDto implements Finding {
  @ApiProperty() readonly code!: string;
  @ApiProperty({ ...textOrNull, description: 'Null when the whole record is meant' }) readonly field!:
    string | null;
  @ApiProperty() readonly message!: string;
  @ApiProperty({ enum: ['error', 'warning'] }) readonly severity!: 'error' | 'warning';
}

export class DeadLetterDto implements DeadLetterView {
  @ApiProperty({ description: '`<job>:<record>`' }) readonly id!: string;
  @ApiProperty() readonly dataset!: string;
  @ApiProperty({ format: 'uuid' }) readonly job!: string;
  @ApiProperty(integer) readonly batch!: number;
  @ApiProperty({ ...integer, description: 'Number in the job, from 0' }) readonly record!: number;
  @ApiProperty({ ...integer, description: 'Line in the source file, from 1' }) readonly line!: number;
  @ApiProperty(integer) readonly byteStart!: number;
  @ApiProperty(integer) readonly byteEnd!: number;
  @ApiProperty({ enum: ['validate', 'load'] }) readonly stage!: 'validate' | 'load';
  @ApiProperty({ type: [String], description: 'Why it was refused' }) readonly codes!: string[];
  @ApiProperty({ type: [FindingDto], description: 'Errors and warnings' }) readonly findings!: FindingDto[];
  @ApiProperty(textOrNull) readonly sqlstate!: string | null;
  @ApiProperty(integer) readonly attempt!: number;
  @ApiProperty({ type: [String] }) readonly columns!: string[];
  @ApiProperty({ description: 'Undecodable bytes as U+FFFD; lists cut it at 1,000 characters' })
  readonly text!: string;
  @ApiPropertyOptional({ format: 'byte', description: 'Its exact bytes; not in lists' })
  readonly bytesBase64?: string;
}

export class DeadLetterPageDto implements Page<DeadLetterView> {
  @ApiProperty({ type: [DeadLetterDto] }) readonly items!: DeadLetterDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

export class ParkedMessageDto implements ParkedMessageView {
  @ApiProperty() readonly topic!: string;
  @ApiProperty(integer) readonly partition!: number;
  @ApiProperty({ description: 'A whole number; as text, since it may not fit a double' })
  readonly offset!: string;
  @ApiProperty({ description: 'What is wrong with it' }) readonly reason!: string;
  @ApiProperty(time) readonly parkedAt!: string;
  @ApiProperty({ enum: PARKED_STATES, description: 'What was decided about it' })
  readonly state!: ParkedState;
  @ApiProperty(timeOrNull) readonly decidedAt!: string | null;
  @ApiProperty({ ...textOrNull, description: 'Why it was skipped, or where it was published to' })
  readonly note!: string | null;
}

class HeaderDto {
  @ApiProperty() readonly name!: string;
  @ApiProperty(textOrNull) readonly value!: string | null;
}

export class ParkedMessageContentDto extends ParkedMessageDto implements ParkedMessageContent {
  @ApiProperty(textOrNull) readonly key!: string | null;
  @ApiProperty({ type: [HeaderDto] }) readonly headers!: HeaderDto[];
  @ApiProperty(integer) readonly valueBytes!: number;
  @ApiProperty({ type: String, format: 'byte', nullable: true, description: 'Its exact bytes' })
  readonly valueBase64!: string | null;
}

export class ParkedMessagePageDto implements Page<ParkedMessageView> {
  @ApiProperty({ type: [ParkedMessageDto] }) readonly items!: ParkedMessageDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

class TableDto {
  @ApiProperty() readonly table!: string;
  @ApiProperty({ ...integer, description: 'Exact' }) readonly rows!: number;
}

export class DatasetDto implements DatasetView {
  @ApiProperty() readonly name!: string;
  @ApiProperty() readonly title!: string;
  @ApiProperty() readonly format!: string;
  @ApiProperty({ enum: WRITE_MODES, isArray: true }) readonly writeModes!: WriteMode[];
  @ApiProperty({ type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } } })
  readonly options!: Record<string, readonly string[]>;
  @ApiProperty(textOrNull) readonly defaultSource!: string | null;
  @ApiProperty(integer) readonly contractVersion!: number;
  @ApiProperty({ ...textOrNull, description: 'Of which build the tracker is' })
  readonly build!: string | null;
  @ApiProperty({ description: 'Names the content of the dataset’s folder when the tracker started' })
  readonly fingerprint!: string;
  @ApiProperty({ type: [TableDto], description: 'Parents before children; without those not migrated yet' })
  readonly tables!: TableDto[];
}

class WrongFieldDto {
  @ApiProperty() readonly field!: string;
  @ApiProperty() readonly message!: string;
}

/** RFC 9457. */
export class ProblemDto implements Problem {
  @ApiProperty() readonly type!: string;
  @ApiProperty() readonly title!: string;
  @ApiProperty(integer) readonly status!: number;
  @ApiProperty() readonly detail!: string;
  @ApiProperty() readonly code!: string;
  @ApiProperty({ description: 'What to do' }) readonly action!: string;
  @ApiPropertyOptional({ type: [WrongFieldDto] }) readonly errors?: WrongFieldDto[];
}
