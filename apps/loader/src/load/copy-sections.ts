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

/** PostgreSQL names the row in the error's context: `COPY <table>, line <n>[, column <c>: "<value>"]`. */
export function copyFaultOf(error: unknown): CopyFault | null {
  const where =
    error instanceof Error && 'where' in error && typeof error.where === 'string' ? error.where : '';
  const found = /COPY (\S+), line (\d+)(?:, column ([^\s:]+))?/.exec(where);
  return found?.[1] && found[2]
    ? { table: found[1], line: Number(found[2]), column: found[3] ?? null }
    : null;
}
