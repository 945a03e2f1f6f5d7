import { Controller, Get, Query } from '@nestjs/common';
import { NeedsRole } from '#common/http/role.js';
import { ApiOkResponse, ApiTags } from '#common/http/api-decorators.js';
import type { DatasetView } from '#api/datasets.js';
import { DatasetReader } from './dataset.reader.js';
import { ProblemResponses } from './problem-responses.js';
import { NoQuery } from './queries.dto.js';
import { DatasetDto } from './views.dto.js';

@ApiTags('datasets')
@Controller('datasets')
export class DatasetsController {
  constructor(private readonly datasets: DatasetReader) {}

  /** Every registered dataset, with the exact row counts of its tables. */
  @NeedsRole('read')
  @Get()
  @ApiOkResponse({ type: [DatasetDto] })
  @ProblemResponses(400, 503)
  list(@Query() _query: NoQuery): Promise<DatasetView[]> {
    return this.datasets.list();
  }
}
