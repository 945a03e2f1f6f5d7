import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Logger, pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '#test/support/eventually.js';
import { OtlpReceiver } from '#test/support/otlp-receiver.js';
import { startTracing } from './start-tracing.js';
import type { Tracing } from './traced-work.js';
import { traceparentOf, withTraceparent } from '../../kafka/traceparent.js';

const JOB = uuidv7();
const OF = { job: JOB, dataset: 'shops' };
const ROOT = JOB.replaceAll('-', '').slice(16);

/** OT1 is an invariant of tracing.ts, BX1 to BX3 are those of bounded-export.ts. */
describe('tracing', () => {
  let receiver: OtlpReceiver;
  let lines: string[];
  let logger: Logger;
  const open: Tracing[] = [];

  beforeEach(async () => {
    receiver = await OtlpReceiver.start();
    lines = [];
    logger = pino(
      {},
      { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
    );
  });
  afterEach(async () => {
    for (const tracing of open.splice(0)) await tracing.close();
    await receiver.stop();
  });

  const start = async (endpoint: string, changes: object = {}): Promise<Tracing> => {
    const tracing = await startTracing({
      service: 'loader',
      instance: 'here:1',
      endpoint,
      logger,
      delayMs: 1,
      ...changes,
    });
    if (tracing === null) throw new Error('Traces are off.');
    open.push(tracing);
    return tracing;
  };

  it('OT1: the spans of a job are one trace, which its id names, and parts of one another', async () => {
    const tracing = await start(`${receiver.url}/`);
    const ingest = tracing.begin('ingest', OF, { attributes: { 'sluice.mode': 'replace' } });
    const publish = tracing.begin('publish', OF, { parent: ingest.traceparent });
    publish.end('BROKER_FAULT');
    ingest.took('part', 2);
    ingest.end();
    tracing.begin('load', OF, { links: [publish.traceparent] }).end();
    tracing.took('finalize swap', OF, 3);
    tracing.ended(OF, 'failed', Date.now() - 60_000);
    await eventually(() => receiver.spans.length === 6, 'six spans');
    const spans = Object.fromEntries(receiver.spans.map((span) => [span.name, span]));
    expect(receiver.of(JOB)).toHaveLength(6);
    const { ingest: first } = spans;
    expect(first).toMatchObject({
      parentSpanId: ROOT,
      isFailed: false,
      attributes: { 'sluice.job': JOB, 'sluice.dataset': 'shops', 'sluice.mode': 'replace' },
      resource: { 'service.name': 'sluice-loader', 'service.instance.id': 'here:1' },
    });
    expect(spans['publish']).toMatchObject({ parentSpanId: first?.spanId, isFailed: true });
    expect(spans['part']).toMatchObject({ parentSpanId: first?.spanId, seconds: 2 });
    expect(spans['load']).toMatchObject({ parentSpanId: ROOT, links: [spans['publish']?.spanId] });
    expect(spans['finalize swap']).toMatchObject({ parentSpanId: ROOT, seconds: 3 });
    expect(spans['job']).toMatchObject({ spanId: ROOT, parentSpanId: '', isFailed: true });
    expect(spans['job']?.seconds).toBeGreaterThanOrEqual(60);
    expect(tracing.spans).toEqual({ exported: 6, dropped: 0 });
    expect(lines).toEqual(['traces are sent']);
  });

  it('BX1, BX2, BX3: a receiver that is away holds up nothing, costs spans, and is one line', async () => {
    receiver.status = 400;
    const tracing = await start(receiver.url, { maxWaiting: 4 });
    for (let n = 0; n < 10; n++) tracing.took('step', OF, 1);
    expect(tracing.spans.dropped).toBe(6);
    await eventually(() => tracing.spans.dropped === 10, 'all spans to be dropped');
    tracing.took('step', OF, 1);
    await eventually(() => tracing.spans.dropped === 11, 'one more');
    receiver.status = 200;
    tracing.took('step', OF, 1);
    await eventually(() => tracing.spans.exported === 1, 'one that arrives');
    await eventually(() => lines.length === 3, 'a line of its return');
    expect(lines).toEqual([
      'traces are sent',
      'the receiver of traces takes no spans; they are dropped until it does',
      'the receiver of traces takes spans again',
    ]);
  });

  it('BX1: closing does not wait for a receiver that is gone', async () => {
    const { url } = receiver;
    await receiver.stop();
    const tracing = await start(url, { requestTimeoutMs: 100 });
    tracing.took('step', OF, 1);
    await tracing.close();
    await eventually(() => tracing.spans.dropped === 1, 'the span to be dropped');
    receiver = await OtlpReceiver.start();
  });

  it('is carried by messages, and a header that is no trace is none', () => {
    const message = { topic: 't', key: 'k', headers: { v: '1' }, value: Buffer.alloc(0) };
    expect(withTraceparent(message, undefined)).toBe(message);
    const traceparent = `00-${JOB.replaceAll('-', '')}-00f067aa0ba902b7-01`;
    const { headers } = withTraceparent(message, traceparent);
    expect(headers).toEqual({ v: '1', traceparent });
    expect(traceparentOf({ traceparent: Buffer.from(traceparent) })).toBe(traceparent);
    for (const wrong of [Buffer.from([0xff]), '', `${traceparent} `, [traceparent, traceparent]])
      expect(traceparentOf({ traceparent: wrong })).toBeUndefined();
  });

  it('loads nothing of OpenTelemetry while it is off', async () => {
    expect(await startTracing({ service: 'loader', instance: '', endpoint: '', logger })).toBeNull();
    const root = join(import.meta.dirname, '../../../../..');
    const loading = ['apps', 'libs']
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file))),
      )
      .filter((file) => /(?<!spec)\.ts$/.test(file))
      .filter((file) =>
        /^import (?!type )[^;]*from '(@opentelemetry\/|.*\/tracing\.js')/m.test(
          readFileSync(join(root, file), 'utf8'),
        ),
      );
    expect(loading).toEqual([join('libs', 'common', 'src', 'telemetry', 'tracing', 'tracing.ts')]);
  });
});
