import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';

/** Inside of the checkout, where Jest resolves what a dataset imports, and in a folder that Git and the tools pass by. */
const COVERAGE = fileURLToPath(new URL('../../../../../coverage', import.meta.url));

const contract = (name: string): string => `
import { Column, Table } from '#core/dataset/columns.js';
import { int32, varchar } from '#core/dataset/kinds.js';
@Table({ name: 'parcel_${name.replaceAll('-', '_')}', key: ['id'] })
export class Parcel {
  @Column({ source: 'id', kind: int32(), required: { code: 'NO_ID' } }) id!: string;
  @Column({ source: 'city', kind: varchar(20) }) city!: string | null;
}
`;

describe('sluice produce, to a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let folder: string;
  let name: string;
  let cli: CliHarness;

  beforeAll(async () => {
    broker = await startTestKafka();
    const logger = pino({ level: 'silent' });
    kafka = createKafka({ brokers: broker.brokers, clientId: 'produce-spec', logger });
  });
  afterAll(() => broker.stop());

  beforeEach(() => {
    mkdirSync(COVERAGE, { recursive: true });
    folder = mkdtempSync(join(COVERAGE, 'produce-'));
    name = `parcels-${randomUUID().slice(0, 8)}`;
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = { KAFKA_BROKERS: broker.brokers.join(','), SLUICE_DATASET_PATHS: join(folder, 'sets') };
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  async function declare(rest: string): Promise<string> {
    const home = join(folder, 'sets', name);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'contract.ts'), contract(name));
    writeFileSync(
      join(home, 'dataset.ts'),
      `import { defineDataset } from '#core/dataset/define-dataset.js';
       import { Parcel } from './contract.js';
       export default defineDataset({ title: 'Parcels', contract: Parcel, ${rest} });`,
    );
    const topic = `sluice.${name}.inbox`;
    await createTopics(kafka, [{ topic, partitions: 3, config: {} }], 1);
    return topic;
  }

  function put(file: string, content: string | Buffer): string {
    writeFileSync(join(folder, file), content);
    return file;
  }

  async function everything(topic: string): Promise<readonly ReadMessage[]> {
    const starts = new Map([0, 1, 2].map((partition) => [partition, 0n]));
    const reader = await TopicReader.open(kafka, topic, starts, { maxWaitMs: 50 });
    try {
      const ends = await reader.ends();
      const messages: ReadMessage[] = [];
      while ([...ends].some(([partition, { high }]) => (reader.next.get(partition) ?? 0n) < high))
        messages.push(...(await reader.fetch(new AbortController().signal)));
      return messages;
    } finally {
      await reader.close();
    }
  }

  it('sends each record of a CSV file as one message, keyed, with the columns of the file', async () => {
    const topic = await declare('inbox: {}');
    const file = put('a.csv', '\ufeffcity,id\r\n"Taipei,\nnorth",1\r\n\r\nTainan,2\nbad,x\nHualien,1');
    expect(await cli.run('produce', name, file)).toBe(0);
    expect(cli.stdout.text).toBe(`4 records sent to ${topic}; 1 line held no record.\n`);
    const messages = await everything(topic);
    const byKey = (key: string | null): string[] =>
      messages
        .filter((message) => (message.key === null ? null : message.key.toString()) === key)
        .map(({ value }) => String(value));
    expect(byKey('1')).toEqual(['"Taipei,\nnorth",1', 'Hualien,1']);
    expect(byKey('2')).toEqual(['Tainan,2']);
    expect(byKey(null)).toEqual(['bad,x']);
    for (const { headers } of messages) expect(String(headers['columns'])).toBe('["city","id"]');
  });

  it('sends NDJSON from standard input, and says how many in JSON', async () => {
    const topic = await declare(`inbox: {}, format: 'ndjson'`);
    cli.stdin.end('{"id": 7, "city": "a"}\n{"id": 8}\n');
    expect(await cli.run('produce', name, '-', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toEqual({
      ...{ ok: true, topic, records: 2, skipped: 0, tooLarge: 0 },
    });
    const messages = await everything(topic);
    expect(messages.map(({ value }) => String(value)).sort()).toEqual([
      '{"id": 7, "city": "a"}',
      '{"id": 8}',
    ]);
    expect(messages.every(({ headers }) => Object.keys(headers).length === 0)).toBe(true);
  });

  it('sends the records of a key in their order, however many there are', async () => {
    const topic = await declare('inbox: {}');
    const rows = Array.from({ length: 60_000 }, (_, at) => `${at % 7},c${at}`);
    const file = put('many.csv', `id,city\n${rows.join('\n')}\n`);
    expect(await cli.run('produce', name, file)).toBe(0);
    const seen = new Map<string, number>();
    const messages = await everything(topic);
    expect(messages).toHaveLength(60_000);
    let behind = 0;
    for (const { key, value } of messages) {
      const at = Number(String(value).split(',c')[1]);
      if (at <= (seen.get(String(key)) ?? -1)) behind += 1;
      seen.set(String(key), at);
    }
    expect([behind, seen.size]).toEqual([0, 7]);
  });

  it('sends nothing of a file that is refused, and what can be sent of one with a record that is too large', async () => {
    const topic = await declare('inbox: {}');
    expect(await cli.run('produce', name, put('other.csv', 'town,id\nx,1\n'))).toBe(1);
    expect(cli.stderr.text).toContain('COLUMN_MISSING');
    const large = `id,city\n1,a\n2,${'x'.repeat(300_000)}\n3,c\n`;
    expect(await cli.run('produce', name, put('large.csv', large))).toBe(1);
    expect(cli.stdout.text).toBe(`2 records sent to ${topic}; 1 record too large to send.\n`);
    expect(await everything(topic)).toHaveLength(2);
  });

  it('refuses a dataset without an inbox, a missing file, and brokers that it does not know', async () => {
    await declare('');
    const file = put('a.csv', 'id,city\n1,a\n');
    expect(await cli.run('produce', name, file)).toBe(1);
    expect(cli.stderr.text).toContain(`Dataset ${name} has no inbox.`);
    expect(await cli.run('produce', name, 'none.csv')).toBe(2);
    cli.environment = { SLUICE_DATASET_PATHS: join(folder, 'sets') };
    await declare('inbox: {}');
    expect(await cli.run('produce', name, file)).toBe(1);
  });
});
