import { randomUUID } from 'node:crypto';
import type { Message } from 'kafkajs';

/**
 * Messages that no stage can use, one of a kind each: what a broken or foreign producer sends. Every one must be
 * parked with its reason, and none may hold up those behind it.
 * @param dataset whose topics they go to; `null` for the status topic
 */
export function poisonMessages(dataset: string | null): Message[] {
  const job = randomUUID();
  const at = '2026-01-01T00:00:00.000Z';
  const identity = { v: '1', job, epoch: '1', batch: '0', 'first-record': '0', 'first-line': '1' };
  const headers: Record<string, string> = {
    ...identity,
    ...(dataset === null ? {} : { dataset }),
    records: '1',
    lines: '1',
    'byte-start': '0',
    'byte-end': '5',
    crc32c: '1',
    contract: '1',
    attempt: '0',
  };
  const event = { type: 'batch', dataset: dataset ?? 'tax-registration', job, batch: 0, stage: 'load', at };
  return [
    { value: 'no headers at all' },
    { value: null },
    { value: Buffer.alloc(64 * 1024, 0xff), headers: { v: '999' } },
    { value: 'five!', headers },
    { value: 'five!', headers: { ...headers, batch: '-1' } },
    { value: 'five!', headers: { ...headers, job: 'not a job' } },
    { value: 'five!', headers: { ...headers, columns: '['.repeat(50_000), findings: '{"\u0000":1}' } },
    { value: '{"type":"batch"', headers: { v: '1' } },
    { value: JSON.stringify({ ...event, findings: { '\u0000': 1 } }), headers: { v: '1' } },
    { value: JSON.stringify({ ...event, at: '0000-01-01T00:00:00.000Z' }), headers: { v: '1' } },
  ];
}
