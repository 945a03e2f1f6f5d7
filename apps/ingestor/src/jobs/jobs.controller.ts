import { Body, Controller, Headers, HttpCode, Param, ParseUUIDPipe, Post, Res } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import { LocalToken } from '#common/access/local-token.js';
import {
  ApiAcceptedResponse,
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiParam,
  ApiTags,
  ApiUnprocessableEntityResponse,
  ApiUnsupportedMediaTypeResponse,
} from '#common/http/api-decorators.js';
import { JobAcceptedDto, JobCancelledDto, ResumeRequestDto } from './job-command.dto.js';
import { JobCommands } from './job-commands.js';
import { JobPoller } from './job-poller.js';
import { JobRequestDto } from './job-request.dto.js';
import { JobStarter } from './job-starter.js';

const UNKNOWN = 'No job has this id';
const REFUSED = 'The job is not in a state that allows this';

interface HeaderSetter {
  setHeader(name: string, value: string): unknown;
}

/** The id in an address. */
const ById = (): MethodDecorator => ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });

@ApiTags('jobs')
@ApiBadRequestResponse({ description: 'The id is none, or the body is no JSON of reasonable depth' })
@ApiUnsupportedMediaTypeResponse({ description: 'Content-Type is not application/json' })
@Controller('jobs')
export class JobsController {
  constructor(
    private readonly starter: JobStarter,
    private readonly commands: JobCommands,
    private readonly poller: JobPoller,
    private readonly localToken: LocalToken,
  ) {}

  /** Queues a job; the tracker at `/jobs/:id` reports its progress. */
  @NeedsRole('operate')
  @Audited('job.start')
  @Post()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiConflictResponse({
    description: 'An active job of the dataset excludes this one; `activeJob` names it',
  })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  async start(
    @Body() request: JobRequestDto,
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) response: HeaderSetter,
  ): Promise<JobAcceptedDto> {
    const caller = { isTrusted: this.localToken.isProvedBy(authorization) };
    const accepted = await this.poller.begin((owner) => this.starter.start(request, caller, owner));
    response.setHeader('Location', `/jobs/${accepted.id}`);
    return accepted;
  }

  /** Resumes the newest job that failed, stands still or was interrupted. */
  @NeedsRole('operate')
  @Audited('job.resume')
  @Post('resume')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  @ApiConflictResponse({
    description: 'There is nothing to resume, or an active job of the dataset excludes it',
  })
  async resumeNewest(@Body() limits: ResumeRequestDto): Promise<JobAcceptedDto> {
    const resumed = await this.commands.resumeNewest(limits);
    this.poller.wake();
    return resumed;
  }

  /** Resumes a job where it stopped; an ingestor or finalizer continues it. */
  @NeedsRole('operate')
  @Audited('job.resume')
  @Post(':id/resume')
  @ById()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  @ApiConflictResponse({ description: 'Nothing to resume, no longer possible, or an active job excludes it' })
  async resume(
    @Param('id', ParseUUIDPipe) id: string,
    @Body() limits: ResumeRequestDto,
  ): Promise<JobAcceptedDto> {
    const resumed = await this.commands.resume(id, limits);
    this.poller.wake();
    return resumed;
  }

  /** After this answer nothing more is published or loaded for the job, and its tables are as they were. */
  @NeedsRole('operate')
  @Audited('job.cancel')
  @Post(':id/cancel')
  @ById()
  @HttpCode(200)
  @ApiOkResponse({ type: JobCancelledDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  cancel(@Param('id', ParseUUIDPipe) id: string): Promise<JobCancelledDto> {
    return this.commands.cancel(id);
  }

  /** After this answer nothing more is loaded for the job until it is continued. */
  @NeedsRole('operate')
  @Audited('job.pause')
  @Post(':id/pause')
  @ById()
  @HttpCode(200)
  @ApiOkResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  pause(@Param('id', ParseUUIDPipe) id: string): Promise<JobAcceptedDto> {
    return this.commands.pause(id);
  }

  /** Continues a paused job, whatever paused it. */
  @NeedsRole('operate')
  @Audited('job.continue')
  @Post(':id/continue')
  @ById()
  @HttpCode(200)
  @ApiOkResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  continue(@Param('id', ParseUUIDPipe) id: string): Promise<JobAcceptedDto> {
    return this.commands.continue(id);
  }

  /** Gives a failed job up: it cannot be resumed any more, and the loaders drop what it had staged. */
  @NeedsRole('operate')
  @Audited('job.discard')
  @Post(':id/discard')
  @ById()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  discard(@Param('id', ParseUUIDPipe) id: string): Promise<JobAcceptedDto> {
    return this.commands.discard(id);
  }
}
