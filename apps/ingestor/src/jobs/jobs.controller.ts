import { Body, Controller, Headers, HttpCode, Inject, Param, ParseUUIDPipe, Post, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiConflictResponse,
  ApiTags,
  ApiUnprocessableEntityResponse,
} from '@nestjs/swagger';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { JobAcceptedDto, JobRequestDto } from './job-request.dto.js';
import { JobStarter } from './job-starter.js';
import { LocalToken } from './local-token.js';

interface HeaderSetter {
  setHeader(name: string, value: string): unknown;
}

@ApiTags('jobs')
@Controller('jobs')
export class JobsController {
  constructor(
    @Inject(JobStarter) private readonly starter: JobStarter,
    @Inject(OperatorRepository) private readonly operator: OperatorRepository,
    @Inject(LocalToken) private readonly localToken: LocalToken,
  ) {}

  /** Queues a job; the tracker at `/jobs/:id` tells how it goes. */
  @Post()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiConflictResponse({ description: 'A job of this dataset is active; `activeJob` names it' })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  async start(
    @Body() request: JobRequestDto,
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) response: HeaderSetter,
  ): Promise<JobAcceptedDto> {
    const accepted = await this.starter.start(request, this.localToken.isProvedBy(authorization));
    response.setHeader('Location', `/jobs/${accepted.id}`);
    return accepted;
  }

  /** After this answer nothing more is loaded for the job, and its tables are as they were. */
  @Post(':id/cancel')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  async cancel(@Param('id', ParseUUIDPipe) id: string): Promise<JobAcceptedDto> {
    return this.operator.cancel(id);
  }
}
