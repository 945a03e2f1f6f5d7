import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { ParkedMessageContent, ParkedMessageView } from '#api/parked-messages.js';
import type { MessagePlace } from '#common/kafka/message.js';
import { ParkedDecisions } from './parked-decisions.js';
import { ProblemResponses } from './problem-responses.js';
import { ParkedMessagePath, SkipRequest } from './queries.dto.js';
import { ParkedMessageContentDto, ParkedMessageDto } from './views.dto.js';

@ApiTags('parked messages')
@Controller('parked-messages/:topic/:partition/:offset')
export class ParkedDecisionsController {
  constructor(private readonly decisions: ParkedDecisions) {}

  /** The message itself, read from its topic. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: ParkedMessageContentDto })
  @ProblemResponses(400, 404, 422, 503)
  show(@Param() path: ParkedMessagePath): Promise<ParkedMessageContent> {
    return this.decisions.show(placeIn(path));
  }

  /** Publishes it again to its topic, and marks it. */
  @NeedsRole('operate')
  @Audited('parked.retry')
  @Post('retry')
  @HttpCode(200)
  @ApiOkResponse({ type: ParkedMessageDto })
  @ProblemResponses(400, 404, 409, 422, 503)
  retry(@Param() path: ParkedMessagePath): Promise<ParkedMessageView> {
    return this.decisions.retry(placeIn(path));
  }

  /** Marks it as skipped for good. */
  @NeedsRole('operate')
  @Audited('parked.skip')
  @Post('skip')
  @HttpCode(200)
  @ApiOkResponse({ type: ParkedMessageDto })
  @ProblemResponses(400, 404, 409, 422, 503)
  skip(@Param() path: ParkedMessagePath, @Body() { reason }: SkipRequest): Promise<ParkedMessageView> {
    return this.decisions.skip(placeIn(path), reason);
  }
}

function placeIn({ topic, partition, offset }: ParkedMessagePath): MessagePlace {
  return { topic, partition: Number(partition), offset };
}
