/**
 * Producers that others wrote, on a real system: the programs of docs/producers.md as they stand there, and each client with
 * each codec, keyed and not, into a dataset of CSV lines and one of JSON (docs/producers.md).
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { findJava } from '#local/kafka/java.js';
import { ensureKafkaJars } from '#local/kafka/kafka-jars.js';
import { runToEnd } from '#local/start-process.js';
import { markdownFile } from '../../docs/markdown-files.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { consoleProducerJar, librdkafkaFolder } from '../../support/foreign-clients.js';
import { clientOf } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASETS = {
  orders: `
    import { Column, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    import { numeric } from '#core/dataset/kinds.js';
    class Order {}
    Column({ required: { code: 'NO_ORDER_NUMBER' } })(Order.prototype, 'orderNo');
    Column({ kind: numeric({ precision: 12, scale: 2 }) })(Order.prototype, 'total');
    Table({ name: 'order_sent', key: ['orderNo'] })(Order);
    export default defineDataset({ title: 'Orders', format: 'ndjson', contract: Order, writeModes: ['upsert'],
      deletes: 'tombstone', inbox: {} });`,
  customers: `
    import { Column, Table } from '#core/dataset/columns.js';
    import { defineDataset } from '#core/dataset/define-dataset.js';
    class Customer {}
    Column({ required: { code: 'NO_NUMBER' } })(Customer.prototype, 'number');
    Column({})(Customer.prototype, 'name');
    Column({})(Customer.prototype, 'city');
    Table({ name: 'customer_sent', key: ['number'] })(Customer);
    export default defineDataset({ title: 'Customers', contract: Customer, writeModes: ['upsert'], inbox: {} });`,
};
const FILES = Object.fromEntries(
  Object.entries(DATASETS).map(([name, code]) => [`${name}/dataset.js`, code]),
);
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const RECORDS = 40;

const TOOLS = await consoleProducerJar();
const LIBRDKAFKA = await librdkafkaFolder();
const withTools = TOOLS === null ? it.skip : it;
const withLibrdkafka = LIBRDKAFKA === null ? it.skip : it;

export const producers = scenario('producers', FILES, (running) => {
  let system: System;
  let folder: string;
  let java: string;
  let jars: string;

  beforeAll(async () => {
    system = running();
    folder = join(system.folder, 'programs');
    mkdirSync(folder);
    symlinkSync(join(checkoutFolder(), 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    [{ command: java }, jars] = await Promise.all([findJava(), ensureKafkaJars()]);
    for (const dataset of Object.keys(DATASETS)) await clientOf(system).startStream(dataset, { maxMs: 100 });
  });

  afterAll(async () => {
    for (const dataset of Object.keys(DATASETS)) await clientOf(system).pauseStream(dataset);
  });

  /** Runs a program that has to end well. */
  async function run(command: string, args: readonly string[], env: Record<string, string> = {}) {
    const { code, stdout, stderr } = await runToEnd(command, args, {
      cwd: folder,
      env: childEnvironment({ KAFKA_BROKERS: system.brokers.join(), ...env }),
      signal: AbortSignal.timeout(120_000),
    });
    if (code !== 0) throw new Error(`${command} ended with code ${code ?? '?'}: ${stderr}${stdout}`);
  }

  /** Puts `kafka-console-producer.sh` into the PATH, as an installation of Kafka has it. */
  function pathWithTools(): string {
    const bin = join(folder, 'bin');
    mkdirSync(bin, { recursive: true });
    const script = join(bin, 'kafka-console-producer.sh');
    const classes = `${TOOLS ?? ''}:${join(jars, '*')}`;
    writeFileSync(
      script,
      `#!/bin/sh\nexec "${java}" -XX:TieredStopAtLevel=1 -cp '${classes}' org.apache.kafka.tools.ConsoleProducer "$@"\n`,
    );
    chmodSync(script, 0o755);
    return `${bin}:${process.env['PATH'] ?? ''}`;
  }

  async function untilVisible(table: string, key: string, wanted: readonly string[]): Promise<void> {
    const prefix = wanted[0]?.replace(/\d+$/, '') ?? '';
    await eventually(
      async () => {
        const rows = await query<{ key: string }>(
          system,
          `SELECT ${key} AS key FROM public.${table} WHERE starts_with(${key}, $1) ORDER BY ${key} COLLATE "C"`,
          [prefix],
        );
        return JSON.stringify(rows.map(({ key }) => key)) === JSON.stringify([...wanted].sort());
      },
      `exactly ${wanted.length} rows ${prefix}… in ${table}`,
      120_000,
    );
  }

  describe('as docs/producers.md has them', () => {
    const programs = markdownFile('docs/producers.md').codeBlocks();

    /** Writes a program of the page to a file. */
    function program(language: string, contains: string, file: string): string {
      const found = programs.filter(({ lang, text }) => lang === language && text.includes(contains));
      expect(found).toHaveLength(1);
      writeFileSync(join(folder, file), found[0]?.text ?? '');
      return file;
    }

    /** The first order stands, the second one is deleted: its tombstone came behind it. */
    const expectOrders = async (name: string): Promise<void> => {
      await untilVisible('order_sent', 'order_no', [`${name}-1`]);
      const held = async () => (await clientOf(system).stream('orders')).lagRecords === 0;
      await eventually(held, 'nothing to be left in the inbox');
    };

    it('Java', async () => {
      const file = program('java', 'class SendOrders', 'SendOrders.java');
      await run(java, ['-cp', join(jars, '*'), file]);
      await expectOrders('JAVA');
    });

    withLibrdkafka('Python', async () => {
      await run('python3', [program('python', 'confluent_kafka', 'send.py')], {
        PYTHONPATH: LIBRDKAFKA ?? '',
      });
      await expectOrders('PYTHON');
    });

    it.each([
      ['kafkajs', "from 'kafkajs'", 'NODE'],
      ['@platformatic/kafka', "from '@platformatic/kafka'", 'PLATFORMATIC'],
    ])('Node, %s', async (_client, contains, name) => {
      await run(process.execPath, [program('js', contains, `${name}.mjs`)]);
      await expectOrders(name);
    });

    withTools('shell', async () => {
      await run('sh', [program('sh', 'kafka-console-producer.sh', 'send.sh')], { PATH: pathWithTools() });
      await expectOrders('SHELL');
    });

    it('Go, which is not run: the same topic, orders and addresses as the others', () => {
      const text = programs.find(({ lang }) => lang === 'go')?.text ?? '';
      for (const part of [
        'KAFKA_BROKERS',
        'sluice.orders.inbox',
        '"GO-1"',
        '"GO-2"',
        'FirstErr()',
        'Value: nil',
      ])
        expect(text).toContain(part);
      expect([...text.matchAll(/`(\{[^`]*\})`/g)].map(([, json = '']) => JSON.parse(json) as object)).toEqual(
        [
          { orderNo: 'GO-1', total: 12.5 },
          { orderNo: 'GO-2', total: 7 },
        ],
      );
    });
  });

  describe('with every codec, into CSV and JSON, keyed and not', () => {
    const numbers = (name: string): string[] => Array.from({ length: RECORDS }, (_, at) => `${name}-${at}`);
    const values = (dataset: string, name: string): string[] =>
      numbers(name).map((number) =>
        dataset === 'orders' ? `{"orderNo": "${number}", "total": 1}` : `${number},name,city`,
      );

    async function expectAll(client: string, combinations: readonly (readonly [string, string])[]) {
      for (const [dataset, name] of combinations)
        await untilVisible(
          dataset === 'orders' ? 'order_sent' : 'customer_sent',
          dataset === 'orders' ? 'order_no' : 'number',
          numbers(`${client}-${name}`),
        );
      for (const dataset of Object.keys(DATASETS)) {
        const { state, findings, detail } = await clientOf(system).stream(dataset);
        expect([state, findings, detail]).toEqual(['running', {}, null]);
      }
    }

    withLibrdkafka('librdkafka', async () => {
      const combinations = CODECS.flatMap((codec) =>
        Object.keys(DATASETS).flatMap((dataset) =>
          ['keyed', 'unkeyed'].map((keys) => ({ codec, dataset, keys, name: `${codec}-${keys}` })),
        ),
      );
      const plan = combinations.map(({ codec, dataset, keys, name }) => ({
        codec,
        topic: `sluice.${dataset}.inbox`,
        keys: keys === 'keyed' ? numbers(`rd-${name}`) : null,
        values: values(dataset, `rd-${name}`),
      }));
      writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan));
      const script = join(checkoutFolder(), 'test', 'fixtures', 'producers', 'librdkafka-plan.py');
      await run('python3', [script, 'plan.json'], { PYTHONPATH: LIBRDKAFKA ?? '' });
      await expectAll(
        'rd',
        combinations.map(({ dataset, name }) => [dataset, name] as const),
      );
    });

    withTools('the console producer', async () => {
      const PATH = pathWithTools();
      // One JVM a codec: what a client does by codec, by format and by key does not depend on each other.
      const combinations = CODECS.map((codec, at) => {
        const dataset = at % 2 === 0 ? 'customers' : 'orders';
        const isKeyed = at % 3 !== 0;
        return { codec, dataset, isKeyed, name: `${codec}-${isKeyed ? 'keyed' : 'unkeyed'}` };
      });
      for (const { codec, dataset, isKeyed, name } of combinations) {
        const keys = numbers(`console-${name}`);
        const lines = values(dataset, `console-${name}`).map((value, at) =>
          isKeyed ? `${keys[at] ?? ''}\t${value}` : value,
        );
        writeFileSync(join(folder, 'lines'), `${lines.join('\n')}\n`);
        const keyed = isKeyed ? '--reader-property parse.key=true' : '';
        const command = `kafka-console-producer.sh --bootstrap-server "$KAFKA_BROKERS" \\
          --topic sluice.${dataset}.inbox --compression-codec ${codec} ${keyed} < lines`;
        await run('sh', ['-c', command], { PATH });
      }
      await expectAll(
        'console',
        combinations.map(({ dataset, name }) => [dataset, name] as const),
      );
    });
  });
});
