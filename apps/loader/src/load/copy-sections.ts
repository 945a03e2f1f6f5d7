import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { StagingTarget } from './staging-targets.js';

/**
 * COPYs the given runs of COPY text into one staging table, as they are.
 *
 * `pipeline` resolves when PostgreSQL is ready for the next statement, and on an error of ours ends the
 * COPY (CopyFail), so the connection stays usable. `progress` is called for each run that was taken.
 */
export async function copyInto(
  client: PoolClient,
  target: StagingTarget,
  texts: readonly Buffer[],
  progress: () => void,
): Promise<void> {
  const filled = texts.filter((text) => text.length > 0);
  if (filled.length === 0) return;
  const stream = client.query(copyFrom(target.copyStatement));
  await pipeline(Readable.from(withProgress(filled, progress), { objectMode: false }), stream);
}

function* withProgress(texts: readonly Buffer[], progress: () => void): Generator<Buffer> {
  for (const text of texts) {
    progress();
    yield text;
  }
}

/** Place of a refused row: which staging table, and the line of the COPY that failed, from 1. */
export interface CopyFault {
  readonly table: string;
  readonly line: number;
}

/** PostgreSQL names the row in the error's context: `COPY <table>, line <n>[, column <c>]`. */
export function copyFaultOf(error: unknown): CopyFault | null {
  const where =
    error instanceof Error && 'where' in error && typeof error.where === 'string' ? error.where : '';
  const found = /COPY (\S+), line (\d+)/.exec(where);
  return found?.[1] && found[2] ? { table: found[1], line: Number(found[2]) } : null;
}

const LINE_FEED = 0x0a;
const TAB = 0x09;

/** Number of the record that the given line (from 1) of COPY text belongs to: its first column. */
export function recordOfLine(text: Buffer, line: number): number | null {
  let start = 0;
  for (let passed = 1; passed < line; passed++) {
    const end = text.indexOf(LINE_FEED, start);
    if (end < 0) return null;
    start = end + 1;
  }
  return firstColumn(text, start);
}

/** The text without the rows of the given records. COPY text escapes line feeds, so a line is a row. */
export function withoutRecords(text: Buffer, records: ReadonlySet<number>): Buffer {
  const kept: Buffer[] = [];
  for (let start = 0; start < text.length;) {
    const found = text.indexOf(LINE_FEED, start);
    const end = found < 0 ? text.length : found + 1;
    const record = firstColumn(text, start);
    if (record === null || !records.has(record)) kept.push(text.subarray(start, end));
    start = end;
  }
  return Buffer.concat(kept);
}

function firstColumn(text: Buffer, start: number): number | null {
  const end = text.indexOf(TAB, start);
  const value = end < 0 ? NaN : Number(text.toString('latin1', start, end));
  return Number.isSafeInteger(value) ? value : null;
}
