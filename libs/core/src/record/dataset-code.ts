import { types } from 'node:util';
import { SluiceError } from '#common/errors/sluice-error.js';

/** Which code of a dataset was running, and on what. */
export interface DatasetCodePlace {
  readonly dataset: string;
  /** `class Order, property total, its kind numeric`. */
  readonly what: string;
  /** Number in the job, from 0; absent for a head. */
  readonly record?: number;
  readonly batch?: number;
  readonly line?: number;
}

/**
 * What a dataset's own code threw, as an error of the dataset. PURE.
 * Its message is left out, and the error itself too: both may hold the value. Its class and the place in the code are
 * kept.
 */
export function datasetCodeFailed(error: unknown, place: DatasetCodePlace): SluiceError {
  if (error instanceof SluiceError) return error;
  const { dataset, what, record, batch, line } = place;
  const on = [record === undefined ? null : `record ${record}`, line === undefined ? null : `line ${line}`]
    .filter((part) => part !== null)
    .join(', ');
  return new SluiceError(
    'DATASET_CODE_FAILED',
    `Dataset ${dataset}, ${what}: it threw ${thrown(error)}${on === '' ? '' : ` on ${on}`}.`,
    {
      dataset,
      ...(batch === undefined ? {} : { batch }),
      ...(line === undefined ? {} : { line }),
    },
  );
}

/** `TypeError at contract.js:12:8`: no message, which may quote the value. */
function thrown(error: unknown): string {
  if (!(error instanceof Error) && !types.isNativeError(error)) return `a ${typeof error}`;
  const frame = /([^/\\()\s]+:\d+:\d+)\)?$/m.exec(
    error.stack?.split('\n').find((line) => /^\s+at /.test(line)) ?? '',
  );
  const name = error.constructor.name || 'Error';
  return frame?.[1] === undefined ? name : `${name} at ${frame[1]}`;
}
