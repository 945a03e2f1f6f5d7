import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { OWN_BUILD } from '#common/lifecycle/build.js';
import { datasetFingerprint } from '#core/dataset/fingerprint.js';
import { DatasetRegistry } from '#core/dataset/registry.js';
import type { DatasetView } from '#core/job/job-view.js';

/** Reads what the registered datasets hold now. */
@Injectable()
export class DatasetReader {
  /** Read at the start, since that is when the datasets were. */
  private readonly fingerprints: ReadonlyMap<string, string>;

  constructor(
    private readonly registry: DatasetRegistry,
    private readonly database: DataSource,
  ) {
    this.fingerprints = new Map(
      registry.entries().map(({ name, folder }) => [name, datasetFingerprint(folder)]),
    );
  }

  /** By name. Rows are counted, not estimated: 4 million take about half a second. */
  async list(): Promise<DatasetView[]> {
    const views: DatasetView[] = [];
    // One after the other: counting holds a connection, and readers of jobs need theirs.
    for (const { dataset, tables } of this.registry.entries()) {
      views.push({
        name: dataset.name,
        title: dataset.title,
        format: dataset.format,
        writeModes: dataset.writeModes,
        options: dataset.options,
        defaultSource: dataset.defaultSource ?? null,
        contractVersion: dataset.contractVersion,
        build: OWN_BUILD,
        fingerprint: this.fingerprints.get(dataset.name) ?? '',
        tables: await this.countRows(tables),
      });
    }
    return views;
  }

  /** A table that is not there yet (its migration has not run) is left out: it has no count, not even 0. */
  private async countRows(tables: readonly string[]): Promise<{ table: string; rows: number }[]> {
    const counts: { table: string; rows: number }[] = [];
    for (const table of tables) {
      const name = `public.${pg.escapeIdentifier(table)}`;
      const [present] = await this.database.query<{ is: boolean }[]>(
        'SELECT to_regclass($1) IS NOT NULL AS is',
        [name],
      );
      if (present?.is !== true) continue;
      const [counted] = await this.database.query<{ rows: string }[]>(`SELECT count(*) AS rows FROM ${name}`);
      counts.push({ table, rows: Number(counted?.rows) });
    }
    return counts;
  }
}
