import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import {
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiOkResponse,
  ApiServiceUnavailableResponse,
  ApiTags,
  ApiUnprocessableEntityResponse,
  ApiUnsupportedMediaTypeResponse,
} from '#common/http/api-decorators.js';
import { DeadLettersResubmittedDto, ResubmitRequestDto } from './resubmission.dto.js';
import { Resubmissions } from './resubmissions.js';

@ApiTags('dead letters')
@ApiBadRequestResponse({ description: 'The body is no JSON of reasonable depth' })
@ApiUnsupportedMediaTypeResponse({ description: 'Content-Type is not application/json' })
@Controller('resubmissions')
export class ResubmissionsController {
  constructor(private readonly resubmissions: Resubmissions) {}

  /** Sends refused records again, as they are or as they were corrected; the answer comes when their jobs are there. */
  @NeedsRole('operate')
  @Audited('dead-letters.resubmit', { hasDryRun: true })
  @Post()
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersResubmittedDto })
  @ApiConflictResponse({ description: 'A job that replaces the tables is active; `activeJob` names it' })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  @ApiServiceUnavailableResponse({
    description:
      'Kafka or PostgreSQL does not answer; `jobs` are those that were made before, and the same request does the rest',
  })
  resubmit(@Body() request: ResubmitRequestDto): Promise<DeadLettersResubmittedDto> {
    return this.resubmissions.resubmit(request) as Promise<DeadLettersResubmittedDto>;
  }
}
