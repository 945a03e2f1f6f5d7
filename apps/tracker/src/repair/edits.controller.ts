import { Readable } from 'node:stream';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Body, Controller, Get, HttpCode, Inject, Post, Query, Res } from '@nestjs/common';
import { Audited } from '#common/http/audited.js';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiProduces, ApiTags } from '#common/http/api-decorators.js';
import type { Logger } from 'pino';
import type { DeadLettersChecked, DeadLettersEdited } from '#api/dead-letter-edits.js';
import { LOGGER } from '#common/providers/tokens.js';
import { ProblemResponses } from '../read-api/problem-responses.js';
import {
  CheckRequest,
  DeadLettersCheckedDto,
  DeadLettersEditedDto,
  EditsRequest,
  ExportQuery,
  FixRequest,
  ImportRequest,
} from './edits.dto.js';
import { Edits } from './edits.js';
import { DeadLetterExport } from './export.js';

const CONTENT_TYPES = { csv: 'text/csv; charset=utf-8', ndjson: 'application/x-ndjson' } as const;

@ApiTags('dead letters')
@Controller('dead-letters')
export class EditsController {
  constructor(
    private readonly edits: Edits,
    private readonly exports: DeadLetterExport,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Corrects open dead letters: each gets the record that is to be sent in its place. */
  @NeedsRole('operate')
  @Audited('dead-letters.edit', { hasDryRun: true })
  @Post('edits')
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersEditedDto })
  @ProblemResponses(400, 413, 422, 503)
  edit(@Body() request: EditsRequest): Promise<DeadLettersEdited> {
    return this.edits.edit(request);
  }

  /** Corrects fields of open dead letters by a rule. */
  @NeedsRole('operate')
  @Audited('dead-letters.fix', { hasDryRun: true })
  @Post('fix')
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersEditedDto })
  @ProblemResponses(400, 422, 503)
  fix(@Body() request: FixRequest): Promise<DeadLettersEdited> {
    return this.edits.fix(request);
  }

  /** Takes a page of an edited export. */
  @NeedsRole('operate')
  @Audited('dead-letters.import', { hasDryRun: true })
  @Post('import')
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersEditedDto })
  @ProblemResponses(400, 413, 422, 503)
  import(@Body() request: ImportRequest): Promise<DeadLettersEdited> {
    return this.edits.import(request);
  }

  /** What would become of open dead letters if they were sent again now. */
  @NeedsRole('read')
  @Post('check')
  @HttpCode(200)
  @ApiOkResponse({ type: DeadLettersCheckedDto })
  @ProblemResponses(400, 422, 503)
  check(@Body() request: CheckRequest): Promise<DeadLettersChecked> {
    return this.edits.check(request);
  }

  /** Open dead letters of one dataset, corrections included, to be corrected and imported again. */
  @NeedsRole('read')
  @Get('export')
  @ApiProduces(...Object.values(CONTENT_TYPES))
  @ApiOkResponse({
    description: 'One row a dead letter; a broken connection means half a file',
    type: String,
  })
  @ProblemResponses(400, 404, 422, 503)
  async export(
    @Query() { format, group, ...filter }: ExportQuery,
    @Res() response: ServerResponse,
  ): Promise<void> {
    const isFiltered = Object.values<string | undefined>(filter).some((value) => value !== undefined);
    const selection = {
      ...(group === undefined ? {} : { group }),
      ...(isFiltered || group === undefined ? { filter } : {}),
    };
    const { dataset, chunks, written } = await this.exports.prepare(selection, format);
    response.setHeader('Content-Type', CONTENT_TYPES[written]);
    response.setHeader('Content-Disposition', `attachment; filename="${dataset}-refused.${written}"`);
    try {
      await pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 1 }), response);
    } catch (error) {
      // The client sees that the connection broke. It may have broken it itself.
      if (!response.headersSent) throw error;
      this.logger.warn({ err: error, dataset }, 'an export of dead letters broke off');
    }
  }
}
