import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { DeadLetterGroupPage, DeadLettersDiscarded, RepairActionView } from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import { ProblemResponses } from '../read-api/problem-responses.js';
import { Discard } from './discard.js';
import { GroupReader } from './group.reader.js';
import {
  DeadLetterGroupPageDto,
  DeadLettersDiscardedDto,
  DiscardRequest,
  GroupsQuery,
  RepairActionPageDto,
  RepairActionsQuery,
} from './repair.dto.js';

@ApiTags('dead letters')
@Controller()
export class RepairController {
  constructor(
    private readonly groups: GroupReader,
    private readonly discarding: Discard,
  ) {}

  /** Refused records by reason and shape of the value, the largest group first. */
  @NeedsRole('read')
  @Get('dead-letters/groups')
  @ApiOkResponse({ type: DeadLetterGroupPageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: GroupsQuery): Promise<DeadLetterGroupPage> {
    return this.groups.list(query);
  }

  /** Gives open dead letters up, with a reason. */
  @NeedsRole('operate')
  @Audited('dead-letters.discard', { hasDryRun: true })
  @Post('dead-letters/discard')
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersDiscardedDto })
  @ProblemResponses(400, 422, 503)
  discard(@Body() request: DiscardRequest): Promise<DeadLettersDiscarded> {
    return this.discarding.discard(request);
  }

  /** What was done about dead letters, newest first. */
  @NeedsRole('read')
  @Get('repair-actions')
  @ApiOkResponse({ type: RepairActionPageDto })
  @ProblemResponses(400, 503)
  actions(@Query() query: RepairActionsQuery): Promise<Page<RepairActionView>> {
    return this.groups.actions(query);
  }
}
