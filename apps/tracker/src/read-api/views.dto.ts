import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '#common/http/api-decorators.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { DatasetView } from '#api/datasets.js';
import {
  DEAD_LETTER_STATES,
  type DeadLetterCounts,
  type DeadLetterEditView,
  type DeadLetterState,
  type DeadLetterView,
  type FindingView,
  type MessageHeaderView,
  type MessageTextView,
  type MessageView,
} from '#api/dead-letters.js';
import type { DiscardedWork, JobCounts, JobError, JobProblem, JobWait, PauseDetail } from '#api/job-facts.js';
import {
  JOB_STATES,
  type JobState,
  PAUSE_REASONS,
  type PauseReason,
  type Stage,
  STAGES,
  WAIT_CODES,
  WAIT_STAGES,
  type WaitCode,
  type WaitStage,
} from '#api/job-words.js';
import type { BatchView, JobDetail, JobSummary, StageProgress, UnknownMember } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import {
  PARKED_STATES,
  type ParkedMessageContent,
  type ParkedMessageView,
  type ParkedState,
} from '#api/parked-messages.js';
import type { Problem } from '#api/problems.js';
import { WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';
import { FINDING_CATEGORIES, type FindingCategory } from '#api/job-words.js';

/** The shapes of `libs/api` as classes, since OpenAPI's schemas need something at run time; `Checked` compares them. */

export const integer: ApiPropertyOptions = { type: 'integer' };
const integerOrNull: ApiPropertyOptions = { type: 'integer', nullable: true };
const numberOrNull: ApiPropertyOptions = { type: Number, nullable: true };
export const textOrNull: ApiPropertyOptions = { type: String, nullable: true };
export const time: ApiPropertyOptions = { type: String, format: 'date-time' };
export const timeOrNull: ApiPropertyOptions = { ...time, nullable: true };
const countsByCode: ApiPropertyOptions = { type: 'object', additionalProperties: { type: 'integer' } };
export const cursorOrNull: ApiPropertyOptions = {
  ...textOrNull,
  description: 'Pass as `cursor`; null at the end',
};

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
  @ApiProperty(integer) readonly deleted!: number;
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
  @ApiProperty({ type: JobWaitDto, nullable: true, description: 'What it waits for; it continues by itself' })
  readonly wait!: JobWaitDto | null;
  @ApiProperty({ format: 'uuid', nullable: true, description: 'Has to end before this one becomes visible' })
  readonly afterJob!: string | null;
  @ApiProperty({ type: String, nullable: true, description: 'The stream that made it' })
  readonly stream!: string | null;
  @ApiProperty({
    ...textOrNull,
    format: 'uuid',
    description: 'The job whose raw batches it has loaded again',
  })
  readonly originJob!: string | null;
  @ApiProperty({ ...textOrNull, format: 'uuid', description: 'The replay that made it' })
  readonly replay!: string | null;
  @ApiProperty({ ...integer, description: 'Of the contract that validates it' })
  readonly contractVersion!: number;
  @ApiProperty({ description: 'Failed, and can be resumed' }) readonly resumable!: boolean;
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

export class DeadLetterCountsDto implements DeadLetterCounts {
  @ApiProperty(integer) readonly open!: number;
  @ApiProperty(integer) readonly resubmitted!: number;
  @ApiProperty(integer) readonly landed!: number;
  @ApiProperty(integer) readonly refusedAgain!: number;
  @ApiProperty(integer) readonly discarded!: number;
}

class DeadLetterCountDto {
  @ApiProperty(integer) readonly known!: number;
  @ApiProperty({ ...integerOrNull, description: 'Null until the job has ended and was counted' })
  readonly expected!: number | null;
  @ApiProperty({ description: 'The job is final and every one of them is known' })
  readonly complete!: boolean;
  @ApiProperty({ type: DeadLetterCountsDto, description: 'What became of the known ones' })
  readonly states!: DeadLetterCountsDto;
}

class UnknownMemberDto implements UnknownMember {
  @ApiProperty({ description: 'At most 64 characters, control characters written out' })
  readonly name!: string;
  @ApiProperty({ ...integer, description: 'Records that hold it' }) readonly records!: number;
}

export class JobDetailDto extends JobSummaryDto implements JobDetail {
  @ApiProperty({ ...countsByCode, description: 'Finding code → how often' })
  readonly findings!: Record<string, number>;
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string', enum: [...FINDING_CATEGORIES] },
    description: 'Finding code → what it is about, as far as it is known',
  })
  readonly categories?: Record<string, FindingCategory>;
  @ApiProperty({
    type: [UnknownMemberDto],
    description: 'NDJSON: not read by the contract, the most frequent first',
  })
  readonly unknownMembers!: UnknownMemberDto[];
  @ApiProperty({ type: [StageProgressDto] }) readonly stages!: StageProgressDto[];
  @ApiProperty({ ...textOrNull, description: 'What finalization is doing now' }) readonly step!:
    string | null;
  @ApiProperty({ type: DeadLetterCountDto }) readonly deadLetters!: DeadLetterCountDto;
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

export class FindingDto implements FindingView {
  @ApiProperty() readonly code!: string;
  @ApiProperty({ ...textOrNull, description: 'Null when the whole record is meant' }) readonly field!:
    string | null;
  @ApiProperty() readonly message!: string;
  @ApiProperty({ enum: ['error', 'warning'] }) readonly severity!: 'error' | 'warning';
}

class MessageTextDto implements MessageTextView {
  @ApiPropertyOptional() readonly text?: string;
  @ApiPropertyOptional({ format: 'byte', description: 'Where the bytes are no text' })
  readonly base64?: string;
}

class MessageHeaderDto implements MessageHeaderView {
  @ApiProperty() readonly name!: string;
  @ApiProperty({ type: MessageTextDto, nullable: true }) readonly value!: MessageTextDto | null;
}

class UndecodableDto {
  @ApiProperty() readonly firstOffset!: string;
  @ApiProperty() readonly reason!: string;
}

class MessageDto implements MessageView {
  @ApiProperty() readonly topic!: string;
  @ApiProperty(integer) readonly partition!: number;
  @ApiProperty({ description: 'A whole number; as text, since it may not fit a double' })
  readonly offset!: string;
  @ApiProperty(timeOrNull) readonly timestamp!: string | null;
  @ApiProperty({ type: MessageTextDto, nullable: true }) readonly key!: MessageTextDto | null;
  @ApiProperty({ type: [MessageHeaderDto] }) readonly headers!: MessageHeaderDto[];
  @ApiPropertyOptional({ description: 'Its key or headers are longer, or more' }) readonly isCut?: boolean;
  @ApiPropertyOptional({ type: UndecodableDto, description: 'It stands for a batch that cannot be decoded' })
  readonly undecodable?: UndecodableDto;
}

class DeadLetterEditDto implements DeadLetterEditView {
  @ApiProperty({ description: 'The corrected record; undecodable bytes as U+FFFD' }) readonly text!: string;
  @ApiProperty({ format: 'byte' }) readonly bytesBase64!: string;
  @ApiProperty({ format: 'uuid', description: 'Of /repair-actions' }) readonly action!: string;
  @ApiProperty(textOrNull) readonly by!: string | null;
  @ApiProperty(time) readonly at!: string;
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
  @ApiProperty({
    type: MessageDto,
    nullable: true,
    description: 'The message that the record came in; null for records of files',
  })
  readonly message!: MessageDto | null;
  @ApiProperty({ description: 'Undecodable bytes as U+FFFD; lists cut it at 1,000 characters' })
  readonly text!: string;
  @ApiPropertyOptional({ format: 'byte', description: 'Its exact bytes; not in lists' })
  readonly bytesBase64?: string;
  @ApiProperty({ enum: DEAD_LETTER_STATES }) readonly state!: DeadLetterState;
  @ApiProperty({ ...textOrNull, description: 'Why it was discarded' }) readonly reason!: string | null;
  @ApiProperty({ ...textOrNull, format: 'uuid', description: 'Null while it has none yet' })
  readonly group!: string | null;
  @ApiProperty({ ...textOrNull, description: 'Id of the one that it is a resubmission of' })
  readonly predecessor!: string | null;
  @ApiProperty({ ...textOrNull, description: 'Id of the one that its resubmission has become' })
  readonly successor!: string | null;
  @ApiPropertyOptional({ type: DeadLetterEditDto, nullable: true, description: 'Not in lists' })
  readonly edit?: DeadLetterEditDto | null;
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

export type Checked = AllAgree<
  [
    Agree<JobDetailDto, JobDetail>,
    Agree<JobPageDto, Page<JobSummary>>,
    Agree<BatchPageDto, Page<BatchView>>,
    Agree<DeadLetterPageDto, Page<DeadLetterView>>,
    Agree<ParkedMessagePageDto, Page<ParkedMessageView>>,
    Agree<ParkedMessageContentDto, ParkedMessageContent>,
    Agree<DatasetDto, DatasetView>,
    // Only the ingestor names the job that is active.
    Agree<ProblemDto, Omit<Problem, 'activeJob'>>,
  ]
>;
