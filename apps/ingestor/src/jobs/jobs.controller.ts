import { Body, Controller, Headers, HttpCode, Inject, Param, ParseUUIDPipe, Post, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiForbiddenResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiParam,
  ApiTags,
  ApiUnprocessableEntityResponse,
  ApiUnsupportedMediaTypeResponse,
} from '@nestjs/swagger';
import { JobAcceptedDto, JobCancelledDto, ResumeRequestDto } from './job-command.dto.js';
import { JobCommands } from './job-commands.js';
import { JobPoller } from './job-poller.js';
import { JobRequestDto } from './job-request.dto.js';
import { JobStarter } from './job-starter.js';
import { LocalToken } from './local-token.js';

const UNKNOWN = 'No job has this id';
const REFUSED = 'The job is not in a state that allows this';

interface HeaderSetter {
  setHeader(name: string, value: string): unknown;
}

/** The id in an address. */
const ById = (): MethodDecorator => ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });

@ApiTags('jobs')
@ApiBadRequestResponse({ description: 'The id is none, or the body is no JSON of reasonable depth' })
@ApiForbiddenResponse({ description: 'Asked by a foreign host name, or by a page of another site' })
@ApiUnsupportedMediaTypeResponse({ description: 'Content-Type is not application/json' })
@Controller('jobs')
export class JobsController {
  constructor(
    @Inject(JobStarter) private readonly starter: JobStarter,
    @Inject(JobCommands) private readonly commands: JobCommands,
    @Inject(JobPoller) private readonly poller: JobPoller,
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
    this.poller.wake();
    response.setHeader('Location', `/jobs/${accepted.id}`);
    return accepted;
  }

  /** Resumes the newest job that failed, stands still or was interrupted. */
  @Post('resume')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  @ApiConflictResponse({ description: 'There is nothing to resume, or another job of the dataset is active' })
  async resumeNewest(@Body() limits: ResumeRequestDto): Promise<JobAcceptedDto> {
    const resumed = await this.commands.resumeNewest(limits);
    this.poller.wake();
    return resumed;
  }

  /** Takes a job up again where it was left; an ingestor or finalizer goes on with it. */
  @Post(':id/resume')
  @ById()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  @ApiConflictResponse({ description: 'Nothing to resume, no longer possible, or another job is active' })
  async resume(
    @Param('id', ParseUUIDPipe) id: string,
    @Body() limits: ResumeRequestDto,
  ): Promise<JobAcceptedDto> {
    const resumed = await this.commands.resume(id, limits);
    this.poller.wake();
    return resumed;
  }

  /** After this answer nothing more is published or loaded for the job, and its tables are as they were. */
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
  @Post(':id/pause')
  @ById()
  @HttpCode(200)
  @ApiOkResponse({ type: JobAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  pause(@Param('id', ParseUUIDPipe) id: string): Promise<JobAcceptedDto> {
    return this.commands.pause(id);
  }

  /** Lets a paused job go on, whatever paused it. */
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
