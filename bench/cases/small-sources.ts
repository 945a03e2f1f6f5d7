/** Twenty records a job, for cases that measure small jobs, and what a plain client does with them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type CleanedFile, writeCleaned } from '../baselines/cleaned-files.js';
import { STAGED, upsertSql } from '../baselines/upsert.js';
import type { Run } from '../report/result.js';

export const RECORDS = 20;
/** Of the records of a job; the others change a row. */
export const NEW_RECORDS = 2;
const HEAD_LINES = 2;

export interface SmallSource {
  readonly file: string;
  /** The source's columns, and its records as they stand in the file. */
  readonly columns: readonly string[];
  readonly lines: readonly string[];
  readonly cleaned: readonly CleanedFile[];
}

/** Records of the next extract, spread over the table: no job meets another's rows. */
export async function smallSources(
  folder: string,
  next: string,
  present: number,
  jobs: number,
): Promise<SmallSource[]> {
  const lines = readFileSync(next, 'utf8').split('\n');
  const [head, records] = [lines.slice(0, HEAD_LINES), lines.slice(HEAD_LINES)];
  const columns = (head[0] ?? '').replace(/^\uFEFF/, '').split(',');
  const changed = jobs * (RECORDS - NEW_RECORDS);
  if (changed > present) throw new SluiceError('INTERNAL', `${jobs} jobs need ${changed} rows in the table.`);
  const step = Math.floor(present / changed);
  const sources: SmallSource[] = [];
  for (let job = 0; job < jobs; job++) {
    const own: string[] = [];
    for (let nth = 0; nth < RECORDS - NEW_RECORDS; nth++) own.push(records[(nth * jobs + job) * step] ?? '');
    for (let nth = 0; nth < NEW_RECORDS; nth++) own.push(records[present + job * NEW_RECORDS + nth] ?? '');
    const place = join(folder, `job-${job}`);
    mkdirSync(place);
    const file = join(place, 'source.csv');
    writeFileSync(file, [...head, ...own, ''].join('\n'));
    sources.push({ file, columns, lines: own, cleaned: await writeCleaned(file, place) });
  }
  return sources;
}

/** The same statements on an open connection, cleaned rows: temporary tables, COPY, INSERT ON CONFLICT. */
export async function plainly(
  client: pg.Client,
  label: string,
  round: number,
  { cleaned }: SmallSource,
): Promise<Run> {
  const texts = await Promise.all(cleaned.map(({ path }) => readFile(path)));
  const merge = (await upsertSql()).replace(/^(BEGIN|COMMIT);$/gm, '');
  const beganAt = performance.now();
  await client.query('BEGIN');
  for (const [index, { table, columns }] of cleaned.entries()) {
    const staged = STAGED[table] ?? table;
    const list = columns.map((column) => `"${column}"`).join(', ');
    await client.query(
      `CREATE TEMP TABLE ${staged} ON COMMIT DROP AS SELECT ${list} FROM public.${table} WITH NO DATA`,
    );
    const text = Readable.from([texts[index] ?? Buffer.alloc(0)], { objectMode: false });
    await pipeline(text, client.query(copyFrom(`COPY ${staged} (${list}) FROM STDIN`)));
  }
  await client.query(merge);
  await client.query('COMMIT');
  return { label, round, rows: RECORDS, seconds: (performance.now() - beganAt) / 1000 };
}
