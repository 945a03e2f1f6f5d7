import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsBoolean,
  IsIn,
  IsOptional,
  IsUUID,
  Matches,
  ValidateNested,
} from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import {
  type DeadLetterFilter,
  type DeadLettersResubmitted,
  MAX_DISCARDED_IDS,
  type NotSent,
  type RepairJob,
  type ResubmitDeadLetters,
} from '#api/dead-letters.js';

const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const LETTER_ID = new RegExp(`^${UUID}:\\d{1,15}$`);
const DATASET_NAME = /^[a-z0-9-]{1,100}$/;
const FINDING_CODE = /^[^\s\p{C}]{1,100}$/u;
const LINE = /^\P{C}{1,200}$/u;
const NAME = /^\P{C}{1,100}$/u;

class FilterDto implements DeadLetterFilter {
  @ApiPropertyOptional({ pattern: DATASET_NAME.source })
  @IsOptional()
  @Matches(DATASET_NAME, { message: 'dataset must be the name of a dataset' })
  readonly dataset?: string;

  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @IsUUID()
  readonly job?: string;

  @ApiPropertyOptional({ minLength: 1, maxLength: 100, description: 'Of any of their errors' })
  @IsOptional()
  @Matches(FINDING_CODE, { message: 'code must be the code of a finding' })
  readonly code?: string;

  @ApiPropertyOptional({ enum: ['validate', 'load'] })
  @IsOptional()
  @IsIn(['validate', 'load'])
  readonly stage?: 'validate' | 'load';
}

/** Body of `POST /resubmissions`. */
export class ResubmitRequestDto implements ResubmitDeadLetters {
  @ApiPropertyOptional({ type: [String], description: '`<job>:<record>`', maxItems: MAX_DISCARDED_IDS })
  @IsOptional()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_DISCARDED_IDS)
  @Matches(LETTER_ID, { each: true, message: 'ids must be ids of dead letters: <job>:<record>' })
  readonly ids?: string[];

  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @Matches(new RegExp(`^${UUID}$`), { message: 'group must be the id of a group' })
  readonly group?: string;

  @ApiPropertyOptional({ type: FilterDto })
  @IsOptional()
  @ValidateNested()
  @Type(() => FilterDto)
  readonly filter?: FilterDto;

  @ApiPropertyOptional({ description: 'Why it will help, for those who look later', maxLength: 200 })
  @IsOptional()
  @Matches(LINE, { message: 'reason must have 1 to 200 characters, in one line' })
  readonly reason?: string;

  @ApiPropertyOptional({ description: 'Who asks, as far as the client knows', maxLength: 100 })
  @IsOptional()
  @Matches(NAME, { message: 'by must have 1 to 100 characters, in one line' })
  readonly by?: string;

  @ApiPropertyOptional({ description: 'Counts, and changes nothing', default: false })
  @IsOptional()
  @IsBoolean()
  readonly dryRun?: boolean;

  @ApiPropertyOptional({
    description: 'Sends parked ones as well: those that were submitted three times',
    default: false,
  })
  @IsOptional()
  @IsBoolean()
  readonly force?: boolean;
}

const count = { type: 'integer', minimum: 0 } as const;

class RepairJobDto implements RepairJob {
  @ApiProperty({ format: 'uuid', description: 'Of /jobs of the tracker' }) readonly id!: string;
  @ApiProperty() readonly dataset!: string;
  @ApiProperty(count) readonly records!: number;
}

class NotSentDto implements NotSent {
  @ApiProperty() readonly reason!: string;
  @ApiProperty({ description: 'A sentence for people, about the example' }) readonly message!: string;
  @ApiProperty(count) readonly count!: number;
  @ApiProperty({ description: 'Id of one of them' }) readonly example!: string;
}

/** Answer of `POST /resubmissions`. */
export class DeadLettersResubmittedDto implements DeadLettersResubmitted {
  @ApiProperty({
    type: String,
    nullable: true,
    format: 'uuid',
    description: 'Of /repair-actions of the tracker; null for a dry run, and when nothing was sent',
  })
  readonly action!: string | null;
  @ApiProperty() readonly dryRun!: boolean;
  @ApiProperty({ ...count, description: 'That were open and have a repair job now, or would have one' })
  readonly resubmitted!: number;
  @ApiProperty({ type: [RepairJobDto], description: 'One for each dataset; none for a dry run' })
  readonly jobs!: RepairJobDto[];
  @ApiProperty({ type: [NotSentDto], description: 'Open ones that were left as they are, by reason' })
  readonly notSent!: NotSentDto[];
  @ApiProperty({ ...count, description: 'Of ids: that were decided about before' })
  readonly decided!: number;
  @ApiProperty({ type: [String], description: 'Of ids: that no dead letter has' })
  readonly unknown!: string[];
}

export type Checked = AllAgree<
  [Agree<ResubmitRequestDto, ResubmitDeadLetters>, Agree<DeadLettersResubmittedDto, DeadLettersResubmitted>]
>;
