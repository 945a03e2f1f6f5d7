import { NIL } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { RawHeaders, ReadMessage } from '#common/kafka/message.js';
import type { Dataset, OptionValues, WriteMode } from '#core/dataset/dataset.js';
import { inboxColumns } from '#core/dataset/inbox.js';
import { inboxOf } from '#core/message/topics.js';
import { compileContract, provenanceOf } from '#core/record/compile-contract.js';
import { createMessageCutter } from '#core/record/message-cutter.js';
import { MessageHeads } from '#core/record/message-head.js';
import { DEFAULT_CUTTING, type MessageHead } from '#core/record/raw-batch.js';
import { BatchJudge } from './batch-judge.js';
import { type FileVerdict, type PlacedFinding, VerdictSums } from './verdict-sums.js';

/** What a producer sends: the value of each message on a line, and what goes with all of them. */
export interface MessagesToJudge {
  readonly lines: AsyncIterable<Buffer>;
  /** What to call them. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Judges messages as the dataset's stream would, in one process: line N is message N.
 * @param onFindings as in `judgeChunks`
 * @throws SluiceError NO_INBOX, DATASET_CODE_FAILED
 */
export async function judgeMessages(
  dataset: Dataset,
  options: OptionValues,
  mode: WriteMode,
  { lines, name, headers }: MessagesToJudge,
  onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
): Promise<FileVerdict> {
  const topic = inboxOf(dataset);
  const { format } = dataset;
  const heads = { format, columns: inboxColumns(dataset), accepts: acceptsIn(dataset, options, name, mode) };
  const rawHeaders: RawHeaders = headers;
  const known = new MessageHeads(heads);
  const head = known.of(rawHeaders);
  // Every message is refused by its headers then, and no record is judged.
  const { columns, context } = typeof head === 'string' ? known.default : head;
  const sums = new VerdictSums();
  const judge = new BatchJudge(dataset, { options, mode, name, columns, context }, sums, onFindings);
  const cutter = createMessageCutter(
    { ...DEFAULT_CUTTING, ...heads, csv: dataset.csv, limitRecords: null, topic },
    { batch: 0, record: 0, line: 1, byte: 0 },
  );
  let messages = 0;
  for await (const value of valuesOf(lines, DEFAULT_CUTTING.maxRecordBytes)) {
    const message: ReadMessage = {
      place: { topic, partition: 0, offset: String(messages) },
      ...{ key: null, headers: rawHeaders, timestamp: -1, value },
    };
    messages += 1;
    for (const batch of cutter.push([message])) await judge.judge(batch);
  }
  for (const batch of cutter.end()) await judge.judge(batch);
  sums.proveMessages(messages, name);
  return sums.verdict(false, judge.gaveUp);
}

function acceptsIn(
  dataset: Dataset,
  options: OptionValues,
  source: string,
  mode: WriteMode,
): (head: MessageHead) => boolean {
  const facts = provenanceOf(dataset, { source, job: NIL, startedAt: new Date(0).toISOString() }, mode);
  return ({ columns, context }) => {
    try {
      compileContract(dataset, { columns, context: { ...context, ...facts }, options });
      return true;
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'DATASET_INVALID') return false;
      throw error;
    }
  };
}

const LINE_FEED = 0x0a;

/**
 * Each line without its LF; of one that is too long for a record, one byte more than a record may have. So memory is bounded.
 */
async function* valuesOf(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let held = 0;
  const hold = (bytes: Buffer): void => {
    const kept = bytes.subarray(0, Math.max(0, maxBytes + 1 - held));
    if (kept.length > 0) parts.push(kept);
    held += kept.length;
  };
  const take = (): Buffer => {
    const line = Buffer.concat(parts);
    parts = [];
    held = 0;
    return line;
  };
  let isOpen = false;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      hold(chunk.subarray(from, at));
      yield take();
      from = at + 1;
    }
    if (from > 0) isOpen = false;
    if (from < chunk.length) {
      hold(chunk.subarray(from));
      isOpen = true;
    }
  }
  if (isOpen) yield take();
}
