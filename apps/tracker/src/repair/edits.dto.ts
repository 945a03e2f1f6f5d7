import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBase64,
  IsBoolean,
  IsIn,
  IsOptional,
  IsUUID,
  Matches,
  ValidateBy,
  ValidateNested,
} from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import {
  type CheckDeadLetters,
  type CheckReason,
  type DamageWarning,
  type Damage,
  DAMAGES,
  type DeadLetterCheck,
  type DeadLetterEdit,
  type DeadLettersChecked,
  type DeadLettersEdited,
  EDIT_PROBLEMS,
  type EditDeadLetters,
  type EditProblem,
  type EditProblemCode,
  EXPORT_FORMATS,
  type ExportFormat,
  type FieldReplace,
  type FieldSet,
  type FixDeadLetters,
  type ImportDeadLetters,
  type ImportedRow,
  MAX_CHANGES,
  MAX_CHECK_REASONS,
  MAX_EDITS,
} from '#api/dead-letter-edits.js';
import { MAX_DISCARDED_IDS } from '#api/dead-letters.js';
import { DATASET, DATASET_NAME, FINDING_CODE, LETTER_ID, textLike, UUID } from '../read-api/queries.dto.js';
import { integer, textOrNull } from '../read-api/views.dto.js';
import { DeadLetterFilterDto, NamedDeadLettersDto, LINE, NAME } from './repair.dto.js';

const ID = { message: 'id must be the id of a dead letter: <job>:<record>' };
const GROUP = { message: 'group must be the id of a group' };
const GROUP_ID = new RegExp(`^${UUID}$`);
const FLAGS = /^(?!.*(.).*\1)[gims]{0,4}$/;
const MAX_FIELD = 1_000;
/** A value of a rule; that of an edit may be as long as a record. */
const MAX_VALUE = 8 * 1024;

/** A text that PostgreSQL can keep as JSON, line breaks and tabs included. */
function isKept(value: unknown, maxCharacters: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxCharacters &&
    value.isWellFormed() &&
    !value.includes('\0')
  );
}

function IsKept(maxCharacters: number, nullable = false): PropertyDecorator {
  return ValidateBy({
    name: 'isKept',
    validator: {
      validate: (value) => (nullable && value === null) || isKept(value, maxCharacters),
      defaultMessage: (args) =>
        `${args?.property ?? ''} must be a text of at most ${maxCharacters} characters, without NUL and halves of surrogate pairs`,
    },
  });
}

function IsTexts(): PropertyDecorator {
  return ValidateBy({
    name: 'isTexts',
    validator: {
      validate: (value) =>
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value as object).every((text) => typeof text === 'string'),
      defaultMessage: () => 'fields must be an object of texts',
    },
  });
}

class ChangeDto {
  @ApiPropertyOptional({ description: 'Why, for those who look later', maxLength: 200 })
  @IsOptional()
  @Matches(LINE, { message: 'reason must have 1 to 200 characters, in one line' })
  readonly reason?: string;

  @ApiPropertyOptional({ description: 'Who asks, as far as the client knows', maxLength: 100 })
  @IsOptional()
  @Matches(NAME, { message: 'by must have 1 to 100 characters, in one line' })
  readonly by?: string;

  @ApiPropertyOptional({ description: 'Validates and counts, and changes nothing', default: false })
  @IsOptional()
  @IsBoolean()
  readonly dryRun?: boolean;
}

class DeadLetterEditRequest implements DeadLetterEdit {
  @ApiProperty({ description: '`<job>:<record>`' })
  @Matches(LETTER_ID, ID)
  readonly id!: string;

  @ApiPropertyOptional({ description: 'The corrected record, without line end' })
  @IsOptional()
  @IsKept(Number.POSITIVE_INFINITY)
  readonly record?: string;

  @ApiPropertyOptional({ format: 'byte', description: 'The same in base64, in place of `record`' })
  @IsOptional()
  @IsBase64()
  readonly recordBase64?: string;

  @ApiPropertyOptional({ description: 'Takes the correction back, in place of `record`' })
  @IsOptional()
  @IsBoolean()
  readonly remove?: boolean;

  @ApiPropertyOptional({
    ...textOrNull,
    format: 'uuid',
    description: '`action` of the correction that was looked at; null when there was none',
  })
  @IsOptional()
  @IsUUID()
  readonly base?: string | null;
}

function IsOneOfThree(): PropertyDecorator {
  return ValidateBy({
    name: 'isOneOfThree',
    validator: {
      validate: (edits) =>
        Array.isArray(edits) &&
        edits.every(
          (edit: DeadLetterEdit) =>
            [edit.record !== undefined, edit.recordBase64 !== undefined, edit.remove === true].filter(Boolean)
              .length === 1,
        ),
      defaultMessage: () => 'each of edits must have exactly one of record, recordBase64 and remove: true',
    },
  });
}

export class EditsRequest extends ChangeDto implements EditDeadLetters {
  @ApiProperty({ type: [DeadLetterEditRequest], maxItems: MAX_EDITS })
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_EDITS)
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => DeadLetterEditRequest)
  @IsOneOfThree()
  readonly edits!: DeadLetterEditRequest[];
}

class SelectionDto extends ChangeDto {
  @ApiPropertyOptional({ type: [String], description: '`<job>:<record>`', maxItems: MAX_DISCARDED_IDS })
  @IsOptional()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_DISCARDED_IDS)
  @Matches(LETTER_ID, { each: true, message: 'ids must be ids of dead letters: <job>:<record>' })
  readonly ids?: string[];

  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @Matches(GROUP_ID, GROUP)
  readonly group?: string;

  @ApiPropertyOptional({ type: DeadLetterFilterDto })
  @IsOptional()
  @ValidateNested()
  @Type(() => DeadLetterFilterDto)
  readonly filter?: DeadLetterFilterDto;
}

class FieldSetDto implements FieldSet {
  @ApiProperty({ description: 'As findings name it' })
  @IsKept(MAX_FIELD)
  readonly field!: string;

  @ApiProperty({ ...textOrNull, description: 'Null: the null of the format, or nothing where it has none' })
  @IsKept(MAX_VALUE, true)
  readonly value!: string | null;
}

class FieldReplaceDto implements FieldReplace {
  @ApiProperty({ description: 'As findings name it' })
  @IsKept(MAX_FIELD)
  readonly field!: string;

  @ApiProperty({ description: 'A regular expression of ECMAScript, with the flag u', maxLength: 1000 })
  @IsKept(MAX_FIELD)
  readonly pattern!: string;

  @ApiPropertyOptional({
    ...textLike(/^[gims]{0,4}$/),
    description: 'Without g only the first match is replaced',
  })
  @IsOptional()
  @Matches(FLAGS, { message: 'flags must be of g, i, m and s, each once' })
  readonly flags?: string;

  @ApiProperty({ description: 'May hold $1, $<name> and $&' })
  @IsKept(MAX_VALUE)
  readonly replacement!: string;
}

export class FixRequest extends SelectionDto implements FixDeadLetters {
  @ApiPropertyOptional({ type: [FieldSetDto], maxItems: MAX_CHANGES })
  @IsOptional()
  @ArrayMaxSize(MAX_CHANGES)
  @ValidateNested({ each: true })
  @Type(() => FieldSetDto)
  readonly set?: FieldSetDto[];

  @ApiPropertyOptional({ type: [FieldReplaceDto], maxItems: MAX_CHANGES })
  @IsOptional()
  @ArrayMaxSize(MAX_CHANGES)
  @ValidateNested({ each: true })
  @Type(() => FieldReplaceDto)
  readonly replace?: FieldReplaceDto[];
}

class ImportedRowDto implements ImportedRow {
  @ApiProperty({ description: '`<job>:<record>`' })
  @Matches(LETTER_ID, ID)
  readonly id!: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'CSV: the fields as the export shows them',
  })
  @IsOptional()
  @IsTexts()
  readonly fields?: Record<string, string>;

  @ApiPropertyOptional({ description: 'The whole record' })
  @IsOptional()
  @IsKept(Number.POSITIVE_INFINITY)
  readonly record?: string;
}

export class ImportRequest extends ChangeDto implements ImportDeadLetters {
  @ApiProperty({ type: [ImportedRowDto], maxItems: MAX_EDITS })
  @ArrayMaxSize(MAX_EDITS)
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => ImportedRowDto)
  readonly rows!: ImportedRowDto[];

  @ApiPropertyOptional({ format: 'uuid', description: 'Of the answer to the first page' })
  @IsOptional()
  @IsUUID()
  readonly action?: string;

  @ApiPropertyOptional({ description: 'There are more pages', default: false })
  @IsOptional()
  @IsBoolean()
  readonly more?: boolean;
}

export class CheckRequest extends NamedDeadLettersDto implements CheckDeadLetters {
  @ApiPropertyOptional({ description: 'Takes parked ones as well', default: false })
  @IsOptional()
  @IsBoolean()
  readonly force?: boolean;
}

export class ExportQuery {
  @ApiPropertyOptional({ enum: EXPORT_FORMATS, description: 'The format of the dataset by default' })
  @IsOptional()
  @IsIn(EXPORT_FORMATS)
  format?: ExportFormat;

  @ApiPropertyOptional({ format: 'uuid', description: 'Only of this group; then nothing else' })
  @IsOptional()
  @Matches(GROUP_ID, GROUP)
  group?: string;

  @ApiPropertyOptional(textLike(DATASET_NAME))
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @IsUUID()
  job?: string;

  @ApiPropertyOptional({ ...textLike(FINDING_CODE), description: 'Of any of their errors' })
  @IsOptional()
  @Matches(FINDING_CODE, { message: 'code must be the code of a finding' })
  code?: string;

  @ApiPropertyOptional({ enum: ['validate', 'load'] })
  @IsOptional()
  @IsIn(['validate', 'load'])
  stage?: 'validate' | 'load';
}

class CheckReasonDto implements CheckReason {
  @ApiProperty() readonly code!: string;
  @ApiProperty({ ...textOrNull, description: 'Null when the whole record is meant' }) readonly field!:
    string | null;
  @ApiProperty(integer) readonly count!: number;
  @ApiProperty({ type: [String], description: 'Ids of the first ones' }) readonly examples!: string[];
}

class DeadLetterCheckDto implements DeadLetterCheck {
  @ApiProperty(integer) readonly checked!: number;
  @ApiProperty({ ...integer, description: 'That the contract accepts' }) readonly passing!: number;
  @ApiProperty({ ...integer, description: 'That would be refused again' }) readonly refused!: number;
  @ApiProperty({ ...integer, description: 'That cannot be sent' }) readonly unsendable!: number;
  @ApiProperty({ type: [CheckReasonDto], maxItems: MAX_CHECK_REASONS }) readonly reasons!: CheckReasonDto[];
  @ApiProperty({ type: [CheckReasonDto] }) readonly unsendableReasons!: CheckReasonDto[];
  @ApiProperty({ type: [String], description: 'What only the loader can say' }) readonly unknown!: string[];
}

class EditProblemDto implements EditProblem {
  @ApiProperty({ enum: EDIT_PROBLEMS }) readonly code!: EditProblemCode;
  @ApiProperty() readonly message!: string;
  @ApiProperty(textOrNull) readonly field!: string | null;
  @ApiProperty(integer) readonly count!: number;
  @ApiProperty({ type: [String], description: 'Of the first ones' }) readonly ids!: string[];
}

class DamageWarningDto implements DamageWarning {
  @ApiProperty({ enum: DAMAGES }) readonly code!: Damage;
  @ApiProperty() readonly field!: string;
  @ApiProperty(integer) readonly count!: number;
  @ApiProperty({ type: [String], description: 'Ids of the first ones' }) readonly examples!: string[];
}

export class DeadLettersEditedDto implements DeadLettersEdited {
  @ApiProperty({ ...textOrNull, format: 'uuid', description: 'Of /repair-actions; null for a dry run' })
  readonly action!: string | null;
  @ApiProperty() readonly dryRun!: boolean;
  @ApiProperty({ ...integer, description: 'That have a new correction, or would have' })
  readonly edited!: number;
  @ApiProperty({ ...integer, description: 'Whose correction was taken back' }) readonly removed!: number;
  @ApiProperty({ ...integer, description: 'That are as they were' }) readonly unchanged!: number;
  @ApiProperty({ type: [EditProblemDto], description: 'What was left alone, and why' })
  readonly problems!: EditProblemDto[];
  @ApiProperty({ type: [DamageWarningDto], description: 'What a spreadsheet has probably made of values' })
  readonly warnings!: DamageWarningDto[];
  @ApiProperty({ type: DeadLetterCheckDto, description: 'Of the edited ones' })
  readonly check!: DeadLetterCheckDto;
}

export class DeadLettersCheckedDto implements DeadLettersChecked {
  @ApiProperty({ type: DeadLetterCheckDto }) readonly check!: DeadLetterCheckDto;
  @ApiProperty({ type: [String], description: 'Of ids: that are not open' }) readonly decided!: string[];
  @ApiProperty({ type: [String], description: 'Of ids: that no dead letter has' })
  readonly unknown!: string[];
}

export type CheckedEdits = AllAgree<
  [
    Agree<CheckRequest, CheckDeadLetters>,
    Agree<DeadLettersCheckedDto, DeadLettersChecked>,
    Agree<DeadLettersEditedDto, DeadLettersEdited>,
    Agree<EditsRequest, EditDeadLetters>,
    Agree<FixRequest, FixDeadLetters>,
    Agree<ImportRequest, ImportDeadLetters>,
  ]
>;
