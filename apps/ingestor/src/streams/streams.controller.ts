import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import {
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiParam,
  ApiTags,
  ApiUnprocessableEntityResponse,
  ApiUnsupportedMediaTypeResponse,
} from '#common/http/api-decorators.js';
import { StreamCommands } from './stream-commands.js';
import { StreamHourDto, StreamHoursQuery } from './stream-hours.dto.js';
import { StreamStatus } from './stream-status.js';
import {
  StreamAcceptedDto,
  StreamResumeRequestDto,
  StreamStartRequestDto,
  StreamViewDto,
} from './stream.dto.js';

const UNKNOWN = 'No dataset has this name';
const REFUSED = 'The dataset has no inbox, or the stream is in a state that does not allow this';
const WRONG_BODY = '`errors` lists every wrong field';

/** The name in an address. */
const ByDataset = (): MethodDecorator =>
  ApiParam({ name: 'dataset', schema: { type: 'string', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' } });

@ApiTags('streams')
@ApiBadRequestResponse({ description: 'The body is no JSON of reasonable depth' })
@ApiUnsupportedMediaTypeResponse({ description: 'Content-Type is not application/json' })
@Controller('streams')
export class StreamsController {
  constructor(
    private readonly commands: StreamCommands,
    private readonly status: StreamStatus,
  ) {}

  /** How the stream of every dataset with an inbox stands, by name. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: [StreamViewDto] })
  list(): Promise<StreamViewDto[]> {
    return this.status.all() as Promise<StreamViewDto[]>;
  }

  /** How one stream stands. */
  @NeedsRole('read')
  @Get(':dataset')
  @ByDataset()
  @ApiOkResponse({ type: StreamViewDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: 'The dataset has no inbox' })
  show(@Param('dataset') dataset: string): Promise<StreamViewDto> {
    return this.status.of(dataset) as Promise<StreamViewDto>;
  }

  /** What the jobs that succeeded add up to by the hour, the newest first; also those whose rows were pruned. */
  @NeedsRole('read')
  @Get(':dataset/hours')
  @ByDataset()
  @ApiOkResponse({ type: [StreamHourDto] })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: 'The dataset has no inbox' })
  hours(@Param('dataset') dataset: string, @Query() { last }: StreamHoursQuery): Promise<StreamHourDto[]> {
    return this.status.hours(dataset, last);
  }

  /** Makes jobs of what is in the inbox and of what arrives; settings that are given replace those that the stream had. */
  @NeedsRole('operate')
  @Audited('stream.start')
  @Post(':dataset/start')
  @ByDataset()
  @HttpCode(200)
  @ApiOkResponse({ type: StreamAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  @ApiUnprocessableEntityResponse({ description: WRONG_BODY })
  start(
    @Param('dataset') dataset: string,
    @Body() settings: StreamStartRequestDto,
  ): Promise<StreamAcceptedDto> {
    return this.commands.start(dataset, settings);
  }

  /** After this answer no job of the stream begins; those that have begun run to their end. */
  @NeedsRole('operate')
  @Audited('stream.pause')
  @Post(':dataset/pause')
  @ByDataset()
  @HttpCode(200)
  @ApiOkResponse({ type: StreamAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  pause(@Param('dataset') dataset: string): Promise<StreamAcceptedDto> {
    return this.commands.pause(dataset);
  }

  /** Continues a paused stream, whatever paused it, and before it those of its jobs that are paused or have failed. */
  @NeedsRole('operate')
  @Audited('stream.resume')
  @Post(':dataset/resume')
  @ByDataset()
  @HttpCode(200)
  @ApiOkResponse({ type: StreamAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: `${REFUSED}; or messages are lost, and \`skipLost\` is not set` })
  @ApiUnprocessableEntityResponse({ description: WRONG_BODY })
  resume(
    @Param('dataset') dataset: string,
    @Body() request: StreamResumeRequestDto,
  ): Promise<StreamAcceptedDto> {
    return this.commands.resume(dataset, request);
  }

  /** Takes what is in the inbox now; when all of it is visible the stream is stopped. */
  @NeedsRole('operate')
  @Audited('stream.drain')
  @Post(':dataset/drain')
  @ByDataset()
  @HttpCode(200)
  @ApiOkResponse({ type: StreamAcceptedDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: REFUSED })
  drain(@Param('dataset') dataset: string): Promise<StreamAcceptedDto> {
    return this.commands.drain(dataset);
  }
}
