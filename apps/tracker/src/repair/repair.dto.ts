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
  DEAD_LETTER_STATES,
  type DeadLetterCounts,
  type DeadLetterFilter,
  type DeadLetterGroupPage,
  type DeadLetterGroupView,
  type DeadLetterSelection,
  type DeadLetterState,
  type DeadLettersDiscarded,
  type DiscardDeadLetters,
  MAX_DISCARDED_IDS,
  MAX_SHOWN_UNGROUPED,
  REPAIR_ACTIONS,
  type RepairActionKind,
  type RepairActionView,
} from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import {
  DATASET,
  DATASET_NAME,
  FINDING_CODE,
  LETTER_ID,
  PageQuery,
  UUID,
  textLike,
} from '../read-api/queries.dto.js';
import {
  DeadLetterCountsDto,
  cursorOrNull,
  integer,
  textOrNull,
  time,
  timeOrNull,
} from '../read-api/views.dto.js';

const GROUP_CURSOR = new RegExp(`^\\d{1,15}:${UUID}$`);
const CURSOR = { message: 'cursor must be the next of an earlier page' };
export const LINE = /^\P{C}{1,200}$/u;
export const NAME = /^\P{C}{1,100}$/u;

export class GroupsQuery extends PageQuery {
  @ApiPropertyOptional(textLike(DATASET_NAME))
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ ...textLike(FINDING_CODE), description: 'Only groups of this reason' })
  @IsOptional()
  @Matches(FINDING_CODE, { message: 'code must be the code of a finding' })
  code?: string;

  @ApiPropertyOptional({
    enum: DEAD_LETTER_STATES,
    description: 'Only groups with dead letters in this state, by their number; all groups when left out',
  })
  @IsOptional()
  @IsIn(DEAD_LETTER_STATES)
  state?: DeadLetterState;

  @ApiPropertyOptional({ ...textLike(GROUP_CURSOR), description: '`next` of the page before' })
  @IsOptional()
  @Matches(GROUP_CURSOR, CURSOR)
  cursor?: string;
}

export class RepairActionsQuery extends PageQuery {
  @ApiPropertyOptional({ format: 'uuid', description: '`next` of the page before' })
  @IsOptional()
  @IsUUID(undefined, CURSOR)
  cursor?: string;
}

export class DeadLetterFilterDto implements DeadLetterFilter {
  @ApiPropertyOptional(textLike(DATASET_NAME))
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  readonly dataset?: string;

  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @IsUUID()
  readonly job?: string;

  @ApiPropertyOptional({ ...textLike(FINDING_CODE), description: 'Of any of their errors' })
  @IsOptional()
  @Matches(FINDING_CODE, { message: 'code must be the code of a finding' })
  readonly code?: string;

  @ApiPropertyOptional({ enum: ['validate', 'load'] })
  @IsOptional()
  @IsIn(['validate', 'load'])
  readonly stage?: 'validate' | 'load';
}

/** Which dead letters are meant: exactly one of the three. */
export class NamedDeadLettersDto {
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

  @ApiPropertyOptional({ type: DeadLetterFilterDto })
  @IsOptional()
  @ValidateNested()
  @Type(() => DeadLetterFilterDto)
  readonly filter?: DeadLetterFilterDto;
}

export class DiscardRequest extends NamedDeadLettersDto implements DiscardDeadLetters {
  @ApiProperty({ description: 'Why nothing is lost, for those who look later', maxLength: 200 })
  @Matches(LINE, { message: 'reason must have 1 to 200 characters, in one line' })
  readonly reason!: string;

  @ApiPropertyOptional({ description: 'Who asks, as far as the client knows', maxLength: 100 })
  @IsOptional()
  @Matches(NAME, { message: 'by must have 1 to 100 characters, in one line' })
  readonly by?: string;

  @ApiPropertyOptional({ description: 'Counts, and changes nothing', default: false })
  @IsOptional()
  @IsBoolean()
  readonly dryRun?: boolean;
}

class DeadLetterGroupDto implements DeadLetterGroupView {
  @ApiProperty({ format: 'uuid', description: 'The same whenever the read model is built again' })
  readonly id!: string;
  @ApiProperty() readonly dataset!: string;
  @ApiProperty({ description: 'Of the first error of each' }) readonly code!: string;
  @ApiProperty({ ...textOrNull, description: 'Null when the whole record is meant' }) readonly field!:
    string | null;
  @ApiProperty({
    description:
      'Of the value: digits as 9, alphabetic characters as A; … for shapes beyond the first hundred',
  })
  readonly shape!: string;
  @ApiProperty({ type: DeadLetterCountsDto }) readonly counts!: DeadLetterCountsDto;
  @ApiProperty({ ...textOrNull, description: 'Id of one of them, of the newest job' }) readonly example!:
    string | null;
}

export class DeadLetterGroupPageDto implements DeadLetterGroupPage {
  @ApiProperty({ type: [DeadLetterGroupDto] }) readonly items!: DeadLetterGroupDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
  @ApiProperty({
    ...integer,
    maximum: MAX_SHOWN_UNGROUPED,
    description: 'Dead letters of older builds that have no group yet',
  })
  readonly ungrouped!: number;
}

export class DeadLettersDiscardedDto implements DeadLettersDiscarded {
  @ApiProperty({ ...textOrNull, format: 'uuid', description: 'Of /repair-actions; null for a dry run' })
  readonly action!: string | null;
  @ApiProperty() readonly dryRun!: boolean;
  @ApiProperty({ ...integer, description: 'That were open and are discarded now, or would be' })
  readonly discarded!: number;
  @ApiProperty({ ...integer, description: 'Of ids: that were decided about before' })
  readonly decided!: number;
  @ApiProperty({ type: [String], description: 'Of ids: that no dead letter has' })
  readonly unknown!: string[];
}

export class DeadLetterSelectionDto implements DeadLetterSelection {
  @ApiPropertyOptional({ type: [String] }) readonly ids?: string[];
  @ApiPropertyOptional({ format: 'uuid' }) readonly group?: string;
  @ApiPropertyOptional({ type: DeadLetterFilterDto }) readonly filter?: DeadLetterFilterDto;
}

class RepairActionDto implements RepairActionView {
  @ApiProperty({ format: 'uuid' }) readonly id!: string;
  @ApiProperty({ enum: REPAIR_ACTIONS }) readonly action!: RepairActionKind;
  @ApiProperty({ type: DeadLetterSelectionDto }) readonly selection!: DeadLetterSelectionDto;
  @ApiProperty({ ...integer, description: 'That it has changed so far' }) readonly deadLetters!: number;
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'Of a fix: its changes',
  })
  readonly detail?: Readonly<Record<string, unknown>> | null;
  @ApiProperty(textOrNull) readonly reason!: string | null;
  @ApiProperty({ ...textOrNull, description: 'As far as the client knew' }) readonly by!: string | null;
  @ApiProperty(time) readonly at!: string;
  @ApiProperty({ ...timeOrNull, description: 'Null while it is under way, or when it broke off' })
  readonly finishedAt!: string | null;
}

export class RepairActionPageDto implements Page<RepairActionView> {
  @ApiProperty({ type: [RepairActionDto] }) readonly items!: RepairActionDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

export type CheckedRepair = AllAgree<
  [
    Agree<DeadLetterCountsDto, DeadLetterCounts>,
    Agree<DeadLetterGroupPageDto, DeadLetterGroupPage>,
    Agree<DeadLettersDiscardedDto, DeadLettersDiscarded>,
    Agree<DiscardRequest, DiscardDeadLetters>,
    Agree<RepairActionPageDto, Page<RepairActionView>>,
  ]
>;
