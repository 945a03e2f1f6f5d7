import { Body, Controller, Get, HttpCode, Param, ParseUUIDPipe, Post, Query, Res } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
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
import { ReplayReader } from '#core/replay/replay.reader.js';
import { ReplayCommands } from './replay-commands.js';
import {
  ReplayAcceptedDto,
  ReplayJobPageDto,
  ReplayJobsQuery,
  ReplayPageDto,
  ReplayRequestDto,
  ReplaysQuery,
  ReplayViewDto,
} from './replay.dto.js';

const UNKNOWN = 'No replay has this id';

interface HeaderSetter {
  setHeader(name: string, value: string): unknown;
}

/** The id in an address. */
const ById = (): MethodDecorator => ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } });

@ApiTags('replays')
@ApiBadRequestResponse({ description: 'The id is none, or the body is no JSON of reasonable depth' })
@ApiUnsupportedMediaTypeResponse({ description: 'Content-Type is not application/json' })
@Controller('replays')
export class ReplaysController {
  constructor(
    private readonly commands: ReplayCommands,
    private readonly reader: ReplayReader,
  ) {}

  /** Loads earlier jobs again from their raw batches; with `dryRun` only says what that would cover. */
  @NeedsRole('operate')
  @Audited('replay.start', { hasDryRun: true })
  @Post()
  @HttpCode(202)
  @ApiAcceptedResponse({ type: ReplayAcceptedDto })
  @ApiNotFoundResponse({ description: 'No job of the dataset has this id' })
  @ApiConflictResponse({
    description: 'The selection covers nothing, is deleted, or names a job that cannot be replayed',
  })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  async start(
    @Body() request: ReplayRequestDto,
    @Res({ passthrough: true }) response: HeaderSetter,
  ): Promise<ReplayAcceptedDto> {
    const accepted = await this.commands.create(request);
    if (accepted.id !== null) response.setHeader('Location', `/replays/${accepted.id}`);
    return accepted as ReplayAcceptedDto;
  }

  /** The newest first. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: ReplayPageDto })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  list(@Query() { dataset, cursor, limit }: ReplaysQuery): Promise<ReplayPageDto> {
    return this.reader.list(dataset ?? null, cursor ?? null, limit) as Promise<ReplayPageDto>;
  }

  @NeedsRole('read')
  @Get(':id')
  @ById()
  @ApiOkResponse({ type: ReplayViewDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  show(@Param('id', ParseUUIDPipe) id: string): Promise<ReplayViewDto> {
    return this.reader.show(id) as Promise<ReplayViewDto>;
  }

  /** Its jobs in their order. */
  @NeedsRole('read')
  @Get(':id/jobs')
  @ById()
  @ApiOkResponse({ type: ReplayJobPageDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiUnprocessableEntityResponse({ description: '`errors` lists every wrong field' })
  jobs(
    @Param('id', ParseUUIDPipe) id: string,
    @Query() { cursor, limit }: ReplayJobsQuery,
  ): Promise<ReplayJobPageDto> {
    return this.reader.jobs(id, cursor ?? null, limit) as Promise<ReplayJobPageDto>;
  }

  /** After this answer no job of it begins, and nothing more is loaded by those that were active. */
  @NeedsRole('operate')
  @Audited('replay.cancel')
  @Post(':id/cancel')
  @ById()
  @HttpCode(200)
  @ApiOkResponse({ type: ReplayViewDto })
  @ApiNotFoundResponse({ description: UNKNOWN })
  @ApiConflictResponse({ description: 'It has ended' })
  cancel(@Param('id', ParseUUIDPipe) id: string): Promise<ReplayViewDto> {
    return this.commands.cancel(id) as Promise<ReplayViewDto>;
  }
}
