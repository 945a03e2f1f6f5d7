import type { TraceProgress, TraceRequest, TraceView } from '#api/trace.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { knownErrorCode } from '../exit-codes.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { errorOf, failureJson, successJson } from '../render/envelope.js';
import { formatCount } from '../render/format.js';
import { traceText } from '../render/trace-text.js';
import { type CliContext, connect, interruptible, paintOf, write } from './context.js';
import { jobId } from './job-id.js';
import { requireDataset } from './known-dataset.js';

export interface TraceOptions {
  readonly row?: readonly string[];
  readonly job?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: boolean;
}

/** `sluice trace <dataset> KEY…`: why a row is missing, or as it is. */
export async function trace(
  context: CliContext,
  dataset: string,
  key: readonly string[],
  options: TraceOptions,
): Promise<Exit> {
  const client = await connect(context);
  await requireDataset(client, dataset);
  const { job: given, from, to } = options;
  const row = rowIn(options.row ?? []);
  const request: TraceRequest = {
    ...{ dataset, key },
    ...(row === null ? {} : { row }),
    ...(given === undefined ? {} : { job: await jobId(context, client, { given, dataset }) }),
    ...(from === undefined ? {} : { from: timeIn('--from', from) }),
    ...(to === undefined ? {} : { to: timeIn('--to', to) }),
  };
  return interruptible(context, async (signal) => {
    const view = await follow(context, client, request, signal);
    if (view === null) {
      const message = 'The trace was stopped before it had an answer; nothing was changed.';
      if (options.json === true) await write(context.stdout, failureJson(errorOf('DETACHED', message)));
      context.stderr.write(`${message}\n`);
      return 'detached';
    }
    const text = options.json === true ? successJson(view) : traceText(view, paintOf(context));
    await write(context.stdout, text);
    return 'success';
  });
}

/** @returns null when `signal` was aborted before */
async function follow(
  context: CliContext,
  client: SluiceClient,
  request: TraceRequest,
  signal: AbortSignal,
): Promise<TraceView | null> {
  const line = new ProgressLine(context);
  try {
    for await (const each of client.trace(request, signal)) {
      if ('progress' in each) line.show(each.progress);
      else if ('trace' in each) return each.trace;
      else throw new SluiceError(knownErrorCode(each.error.code), each.error.message);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    line.clear();
  }
  if (signal.aborted) return null;
  throw new SluiceError('SYSTEM_UNREACHABLE', 'The tracker broke off in the middle of the trace.');
}

/** One line on a terminal that is written over; nothing elsewhere. */
class ProgressLine {
  private width = 0;

  constructor(private readonly context: CliContext) {}

  show({ searched, of, found }: TraceProgress): void {
    if (this.context.stderr.isTTY !== true) return;
    const text = `searched ${formatCount(searched)} of ${formatCount(of)} batches, found ${formatCount(found)}`;
    this.context.stderr.write(`\r${text.padEnd(this.width)}`);
    this.width = text.length;
  }

  clear(): void {
    if (this.width > 0) this.context.stderr.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }
}

const ROW_FORM = '--row names a column of a child table and its value: --row order_items.sku=A1';

/** @throws SluiceError USAGE_INVALID */
function rowIn(given: readonly string[]): TraceRequest['row'] | null {
  const parts = given.map((text) => {
    const [, table, column, value] = /^([^.=]+)\.([^=]+)=(.*)$/su.exec(text) ?? [];
    if (table === undefined || column === undefined || value === undefined)
      throw new SluiceError('USAGE_INVALID', `${ROW_FORM}.`);
    return { table, column, value };
  });
  const [first] = parts;
  if (first === undefined) return null;
  if (parts.some(({ table }) => table !== first.table))
    throw new SluiceError('USAGE_INVALID', `${ROW_FORM}. Several of them name one table.`);
  return {
    table: first.table,
    values: Object.fromEntries(parts.map(({ column, value }) => [column, value])),
  };
}

/** @throws SluiceError USAGE_INVALID */
function timeIn(option: string, text: string): string {
  const time = Date.parse(text);
  if (Number.isNaN(time) || !/^\d{4}-\d{2}-\d{2}/.test(text))
    throw new SluiceError(
      'USAGE_INVALID',
      `${option} is a day or a time: 2026-11-29, or 2026-11-29T08:00:00Z.`,
    );
  return new Date(time).toISOString();
}
