import { Controller, Get, Query } from '@nestjs/common';
import type { AuditEntry } from '#api/audit.js';
import type { Page } from '#api/pages.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import { NeedsRole } from '#common/http/role.js';
import { ProblemResponses } from '../read-api/problem-responses.js';
import { AuditPageDto, AuditQuery } from './audit.dto.js';
import { AuditReader } from './audit.reader.js';

@ApiTags('audit')
@Controller('audit')
export class AuditController {
  constructor(private readonly audit: AuditReader) {}

  /** Who gave which command, and what became of it, newest first. */
  @NeedsRole('admin')
  @Get()
  @ApiOkResponse({ type: AuditPageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: AuditQuery): Promise<Page<AuditEntry>> {
    return this.audit.list(query);
  }
}
