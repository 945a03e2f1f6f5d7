import { Controller, Get, Query } from '@nestjs/common';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { Page } from '#api/pages.js';
import type { ParkedMessageView } from '#api/parked-messages.js';
import { ParkedMessageReader } from './parked-message.reader.js';
import { ProblemResponses } from './problem-responses.js';
import { ParkedMessagesQuery } from './queries.dto.js';
import { ParkedMessagePageDto } from './views.dto.js';

@ApiTags('parked messages')
@Controller('parked-messages')
export class ParkedMessagesController {
  constructor(private readonly parked: ParkedMessageReader) {}

  /** Kafka messages that a consumer could not decode and skipped, newest first. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: ParkedMessagePageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: ParkedMessagesQuery): Promise<Page<ParkedMessageView>> {
    return this.parked.list(query);
  }
}
