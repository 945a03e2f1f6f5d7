import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { faultPoint } from '#common/faults/fault-point.js';
import type { StagingTarget } from './staging-targets.js';

/**
 * COPYs the given runs of COPY text into one staging table, as they are.
 *
 * `pipeline` resolves when PostgreSQL is ready for the next statement, and on an error of ours ends the
 * COPY (CopyFail), so the connection stays usable. `progress` is called for each run that was taken.
 * @returns the rows that PostgreSQL says it has taken
 */
export async function copyInto(
  client: PoolClient,
  target: StagingTarget,
  texts: readonly Buffer[],
  progress: () => void,
): Promise<number> {
  const filled = texts.filter((text) => text.length > 0);
  if (filled.length === 0) return 0;
  const stream = client.query(copyFrom(target.copyStatement));
  await pipeline(Readable.from(withProgress(filled, progress), { objectMode: false }), stream);
  return stream.rowCount;
}

function* withProgress(texts: readonly Buffer[], progress: () => void): Generator<Buffer> {
  for (const text of texts) {
    progress();
    yield text;
    faultPoint('loader.in-copy');
  }
}

/** Place of a refused row: which staging table, and the line of the COPY that failed, from 1. */
export interface CopyFault {
  readonly table: string;
  readonly line: number;
  /** When a value could not be read; constraints name no column. */
  readonly column: string | null;
}

/**
 * PostgreSQL names the row in the error's context: `COPY <table>, line <n>[, column <c>: "<value>"]`, in the language
 * that `lc_messages` says (`Zeile`, `ligne`, `行`), and only a superuser may change that. The table's name, the number
 * behind it and the column's name are the same in all of them.
 * @param targets our own staging tables
 */
export function copyFaultOf(
  error: unknown,
  targets: readonly Pick<StagingTarget, 'stagingName' | 'columns'>[],
): CopyFault | null {
  const where =
    error instanceof Error && 'where' in error && typeof error.where === 'string' ? error.where : '';
  for (const { stagingName: table, columns } of targets) {
    const found = new RegExp(`${literally(table)}(?![A-Za-z0-9_$])[^\\d\\n]*(\\d+)([^:：\\n]*)`).exec(where);
    if (found?.[1] === undefined) continue;
    const words = found[2]?.split(/[\s,、，]+/) ?? [];
    return { table, line: Number(found[1]), column: columns.find((name) => words.includes(name)) ?? null };
  }
  return null;
}

const literally = (text: string): string => text.replace(/[^A-Za-z0-9_]/g, '\\$&');
