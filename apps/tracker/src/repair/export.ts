import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { ExportFormat } from '#api/dead-letter-edits.js';
import type { DeadLetterSelection } from '#api/dead-letters.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { poolOf } from '#common/postgres/typeorm.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { conditionOf, type DeadLetterCondition } from '#core/repair/dead-letter-selection.js';
import type { DeadLetterKey } from '#core/repair/dead-letter-sums.js';
import { csvExportHeader, csvExportRow, exportedColumns, ndjsonExportRow } from '#core/repair/export-rows.js';
import { OpenDeadLetters } from '#core/repair/open-dead-letters.js';
import { checkedSelection } from './discard.js';

/** Files differ in their columns, and a sheet has a column for each. */
const MAX_LISTS = 100;

export interface PreparedExport {
  readonly dataset: string;
  readonly written: ExportFormat;
  /** Page by page, as it is taken. */
  readonly chunks: AsyncGenerator<string>;
}

/** Open dead letters of one dataset as a file that can be corrected and imported again; memory is bounded by a page. */
@Injectable()
export class DeadLetterExport {
  constructor(
    private readonly database: DataSource,
    private readonly registry: DatasetRegistry,
  ) {}

  /** @throws SluiceError REQUEST_INVALID, DATASET_UNKNOWN; nothing is written before */
  async prepare(given: DeadLetterSelection, format?: ExportFormat): Promise<PreparedExport> {
    const selection = checkedSelection(given);
    const condition = conditionOf(selection);
    const lists = await this.lists(condition);
    const names = [...new Set(lists.map(({ dataset }) => dataset))];
    const [name = selection.filter?.dataset, another] = names;
    if (another !== undefined)
      throw invalid(`The dead letters are of several datasets (${names.join(', ')}): choose one of them.`);
    if (name === undefined) throw invalid('No dead letter that is meant is open.');
    const dataset = this.registry.get(name);
    const written = format ?? dataset.format;
    if (written === 'csv' && dataset.format === 'ndjson')
      throw invalid(
        `Records of ${name} are JSON, whose members do not fit into columns: export them as ndjson.`,
      );
    if (written === 'csv' && lists.length > MAX_LISTS)
      throw invalid(
        `The dead letters have more than ${MAX_LISTS} different lists of columns: choose those of one job, or export them as ndjson.`,
      );
    const columns = exportedColumns(lists.map(({ columns: list }) => list));
    return {
      dataset: name,
      written,
      chunks: this.chunks(condition, dataset, written === 'csv' ? columns : null),
    };
  }

  /** In the order of the oldest job of each. */
  private async lists({ where, parameters }: DeadLetterCondition): Promise<readonly ListOfColumns[]> {
    const { rows } = await poolOf(this.database).query<ListOfColumns>(
      `SELECT used.dataset, list.names AS columns FROM (
         SELECT letter.dataset, letter.columns_id, min(letter.job::text) AS job FROM sluice.dead_letter AS letter
          WHERE letter.state = 'open' AND (${where}) GROUP BY letter.dataset, letter.columns_id
          ORDER BY job, letter.columns_id LIMIT ${MAX_LISTS + 1}) AS used
         JOIN sluice.letter_columns AS list ON list.id = used.columns_id ORDER BY used.job, used.columns_id`,
      [...parameters],
    );
    return rows;
  }

  /** @param columns of a CSV; null for NDJSON */
  private async *chunks(
    condition: DeadLetterCondition,
    dataset: Dataset,
    columns: readonly string[] | null,
  ): AsyncGenerator<string> {
    if (columns !== null) yield csvExportHeader(columns);
    const reader = new OpenDeadLetters();
    for (let after: DeadLetterKey | null = null; ;) {
      const letters = await reader.page(poolOf(this.database), condition, { after });
      const last = letters.at(-1);
      if (last === undefined) return;
      yield letters
        .map((letter) =>
          columns === null ? ndjsonExportRow(letter, dataset) : csvExportRow(columns, letter, dataset),
        )
        .join('');
      after = { job: last.job, record: last.record };
    }
  }
}

interface ListOfColumns {
  readonly dataset: string;
  readonly columns: readonly string[];
}

function invalid(detail: string): ProblemError {
  return new ProblemError('REQUEST_INVALID', detail, 422);
}
