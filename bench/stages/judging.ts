/** The stages that need this process alone. Each is one function, so that a profile names it. */
import { v7 as uuidv7 } from 'uuid';
import type { IncomingMessage, OutgoingMessage } from '#common/kafka/message.js';
import { decodeCleanMessage, encodeCleanMessage } from '#core/message/clean-message.js';
import { type RawMessage, decodeRawMessage, encodeRawMessage } from '#core/message/raw-message.js';
import type { CompiledContract } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import type { BatchVerdict } from '#core/record/verdict.js';
import {
  CONTRACT_VERSION,
  CUTTING,
  INPUTS,
  type RegistrationSlice,
  START,
  compileRegistrations,
  repeated,
} from './registrations.js';
import { CliConfig } from '../../apps/cli/src/cli.config.js';
import type { Amount } from './stage-run.js';

/** Names topics that no service listens to. */
export const BENCH_DATASET = 'bench-stages';
/** Of its topics, as many as `sluice migrate` gives any topic by default. */
export const PARTITIONS = new CliConfig().topicPartitions;
/** Stands for the mark of the contract's tables; only its length matters here. */
export const PLAN = '0123456789abcdef';

/** The ingestor's: bytes into raw batches. */
export function cut(slice: RegistrationSlice, rows: number): Amount {
  const cutter = createCutter({ ...CUTTING, limitRecords: rows }, START);
  const amount = { rows: 0, bytes: 0 };
  for (const chunk of slice.chunks()) {
    for (const batch of cutter.push(chunk)) add(amount, batch.records, batch.bytes);
    if (cutter.done) break;
  }
  return amount;
}

/** The validator's: raw batches into COPY text and refused records. */
export function check(contract: CompiledContract, batches: readonly RawBatch[], rows: number): Amount {
  const amount = { rows: 0, bytes: 0 };
  for (const batch of repeated(batches, rows, ({ records }) => records)) {
    contract.judge(batch);
    add(amount, batch.records, batch.bytes);
  }
  return amount;
}

/** A raw batch as it is published, and what judging makes of it. */
export interface JudgedBatch {
  readonly raw: RawMessage;
  readonly verdict: BatchVerdict;
  /** Both of its messages, as a consumer gets them. */
  readonly messages: { readonly raw: IncomingMessage; readonly clean: IncomingMessage };
}

export function judgeSlice({ batches }: RegistrationSlice): JudgedBatch[] {
  const contract = compileRegistrations();
  const job = uuidv7();
  return batches.map((batch) => {
    const outgoing = encodeRawMessage(
      {
        ...{ dataset: BENCH_DATASET, job, epoch: 1, batch, attempt: 0 },
        ...{ format: CUTTING.format, contractVersion: CONTRACT_VERSION, ...INPUTS },
      },
      PARTITIONS,
    );
    const message = received(outgoing, batch.batch);
    const raw = decodeRawMessage(message);
    const verdict = contract.judge(batch);
    const clean = received(
      encodeCleanMessage(raw, message.place, { verdict, plan: PLAN }, PARTITIONS),
      batch.batch,
    );
    return { raw, verdict, messages: { raw: message, clean } };
  });
}

/** The ingestor's and the validator's: both messages of each batch, with headers and checksums. */
export function encode(judged: readonly JudgedBatch[], rows: number): Amount {
  return rawAndClean(judged, rows, {
    raw: ({ raw }) => encodeRawMessage(raw, PARTITIONS).value,
    clean: ({ raw, verdict, messages }) =>
      encodeCleanMessage(raw, messages.raw.place, { verdict, plan: PLAN }, PARTITIONS).value,
  });
}

/** The validator's and the loader's, checksums compared. */
export function decode(judged: readonly JudgedBatch[], rows: number): Amount {
  return rawAndClean(judged, rows, {
    raw: ({ messages }) => decodeRawMessage(messages.raw).batch.bytes,
    clean: ({ messages }) => {
      decodeCleanMessage(messages.clean);
      return messages.clean.value;
    },
  });
}

/** One part after the other; rows are those of one of them. */
function rawAndClean(
  judged: readonly JudgedBatch[],
  rows: number,
  work: Readonly<Record<'raw' | 'clean', (batch: JudgedBatch) => Buffer | null>>,
): Amount {
  const amount = { rows: 0, bytes: 0 };
  const parts: Record<string, number> = {};
  for (const kind of ['raw', 'clean'] as const) {
    const startedAt = performance.now();
    for (const batch of repeated(judged, rows, ({ raw }) => raw.batch.records)) {
      add(amount, kind === 'raw' ? batch.raw.batch.records : 0, work[kind](batch));
    }
    parts[kind] = (performance.now() - startedAt) / 1e3;
  }
  return { ...amount, parts };
}

/** As a consumer of kafkajs gets it: headers are buffers. */
function received(
  { topic, partition = 0, headers, value }: OutgoingMessage,
  offset: number,
): IncomingMessage {
  return {
    place: { topic, partition, offset: String(offset) },
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
    value,
  };
}

function add(amount: { rows: number; bytes: number }, rows: number, bytes: Buffer | null): void {
  amount.rows += rows;
  amount.bytes += bytes?.length ?? 0;
}
