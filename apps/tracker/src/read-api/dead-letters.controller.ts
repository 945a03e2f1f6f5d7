import { Controller, Get, Param, Query } from '@nestjs/common';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { DeadLetterView } from '#api/dead-letters.js';
import type { Page } from '#api/pages.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { DeadLetterReader } from './dead-letter.reader.js';
import { ProblemResponses } from './problem-responses.js';
import { DeadLetterPath, DeadLettersQuery, NoQuery } from './queries.dto.js';
import { DeadLetterDto, DeadLetterPageDto } from './views.dto.js';

@ApiTags('dead letters')
@Controller('dead-letters')
export class DeadLettersController {
  constructor(private readonly letters: DeadLetterReader) {}

  /** Refused records, those of the newest job first, in order of records. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: DeadLetterPageDto })
  @ProblemResponses(400, 503)
  list(@Query() query: DeadLettersQuery): Promise<Page<DeadLetterView>> {
    return this.letters.list(query);
  }

  /** One refused record with its exact bytes. */
  @NeedsRole('read')
  @Get(':job/:record')
  @ApiOkResponse({ type: DeadLetterDto })
  @ProblemResponses(400, 404, 503)
  async one(@Param() { job, record }: DeadLetterPath, @Query() _query: NoQuery): Promise<DeadLetterView> {
    const letter = await this.letters.one(job, Number(record));
    if (letter === null) {
      throw new ProblemError('DEAD_LETTER_UNKNOWN', `Record ${record} of job ${job} is no dead letter.`, 404);
    }
    return letter;
  }
}
