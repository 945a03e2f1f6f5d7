import { Injectable } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { DatasetView } from '#api/datasets.js';
import { OWN_BUILD } from '#common/telemetry/build.js';
import { datasetFingerprint } from '#core/registry/fingerprint.js';
import { DatasetRegistry } from '#core/registry/registry.js';

/** Reads what the registered datasets hold now. */
@Injectable()
export class DatasetReader {
  /** Read at the start, when the datasets were read. */
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
    for (const { dataset, schema, tables } of this.registry.entries()) {
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
        tables: await this.countRows(schema, tables),
      });
    }
    return views;
  }

  /**
   * A table that does not exist yet (its migration has not run), or that the tracker may not read, is left out: it has no
   * count, not even 0.
   */
  private async countRows(
    schema: string,
    tables: readonly string[],
  ): Promise<{ table: string; rows: number }[]> {
    const counts: { table: string; rows: number }[] = [];
    for (const table of tables) {
      const name = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
      const [present] = await this.database.query<{ is: boolean }[]>(PRESENT, [schema, table]);
      if (present?.is !== true) continue;
      const [counted] = await this.database.query<{ rows: string }[]>(`SELECT count(*) AS rows FROM ${name}`);
      counts.push({ table, rows: Number(counted?.rows) });
    }
    return counts;
  }
}

const PRESENT = `
  SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS is
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;
