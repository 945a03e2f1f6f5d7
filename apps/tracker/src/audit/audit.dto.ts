import { IsIn, IsOptional, IsUUID, Matches } from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { AuditEntry } from '#api/audit.js';
import type { Page } from '#api/pages.js';
import { CALLER_KINDS } from '#common/access/access-tokens.js';
import { AUDIT_ACTIONS, type AuditAction } from '#common/access/audit-actions.js';
import { ROLES } from '#common/access/role-names.js';
import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { DATASET, DATASET_NAME, PageQuery, textLike } from '../read-api/queries.dto.js';
import { cursorOrNull, textOrNull, time, timeOrNull } from '../read-api/views.dto.js';

const WHO = /^\P{C}{1,300}$/u;

export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({ ...textLike(WHO), description: 'Only commands of this token, subject or user' })
  @IsOptional()
  @Matches(WHO, { message: 'who must have 1 to 300 characters, in one line' })
  who?: string;

  @ApiPropertyOptional({ enum: AUDIT_ACTIONS, description: 'Only commands of this kind' })
  @IsOptional()
  @IsIn(AUDIT_ACTIONS)
  action?: AuditAction;

  @ApiPropertyOptional({ ...textLike(DATASET_NAME), description: 'Only commands that name this dataset' })
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ format: 'uuid', description: '`next` of the page before' })
  @IsOptional()
  @IsUUID(undefined, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

class AuditEntryDto implements AuditEntry {
  @ApiProperty({ format: 'uuid', description: 'The answer to the command had it as `X-Request-Id`' })
  readonly id!: string;
  @ApiProperty(time) readonly at!: string;
  @ApiProperty() readonly service!: string;
  @ApiProperty({ enum: CALLER_KINDS, description: 'How its giver was known' }) readonly caller!: string;
  @ApiProperty({ description: 'Name of the token, subject of the OIDC token, or user of the machine' })
  readonly who!: string;
  @ApiProperty({ enum: ROLES, nullable: true, description: 'Null for the command line' })
  readonly role!: string | null;
  @ApiProperty({ enum: AUDIT_ACTIONS }) readonly action!: string;
  @ApiProperty(textOrNull) readonly dataset!: string | null;
  @ApiProperty({
    type: [String],
    description: 'Ids of jobs, replays and repair actions, places of parked messages, names of tokens',
  })
  readonly targets!: string[];
  @ApiProperty({
    ...textOrNull,
    description:
      '`ok`, or the code of the refusal; null while under way, or when the service ended meanwhile',
  })
  readonly outcome!: string | null;
  @ApiProperty(timeOrNull) readonly finishedAt!: string | null;
}

export class AuditPageDto implements Page<AuditEntry> {
  @ApiProperty({ type: [AuditEntryDto] }) readonly items!: AuditEntryDto[];
  @ApiProperty(cursorOrNull) readonly next!: string | null;
}

export type Checked = AllAgree<[Agree<AuditEntryDto, AuditEntry>, Agree<AuditPageDto, Page<AuditEntry>>]>;
