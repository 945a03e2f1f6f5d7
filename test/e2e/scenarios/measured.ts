/**
 * A run with faults, as Prometheus sees it: what the services export is what the catalogue of metrics says, both ways, and every
 * query of every panel of the dashboards has an answer.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import {
  METRICS,
  type MetricFacts,
  type MetricName,
  type MetricSource,
} from '#common/telemetry/metric-catalogue.js';
import { checkoutFolder } from '#local/folders.js';
import { filledIn, panelQueries, shownDashboards } from '../../operations/panel-queries.js';
import { parcelDatasets, parcels } from '../../operations/parcels.js';
import { type PrometheusServer, startPrometheus } from '../../operations/prometheus-server.js';
import { prometheusProgram } from '../../operations/prometheus-tools.js';
import { eventually } from '../../support/eventually.js';
import { type HeldSource, startHeldSource } from '../../support/held-source.js';
import { clientOf, jobEnd, lettersOf, runJob } from '../../support/run-job.js';
import { RunFolder } from '../../support/run-folder.js';
import { startSourceServer } from '../../support/source-server.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = 'parcels';
/** Whose job is paused all the time. */
const PAUSED = 'parcels-late';

/** Of `orZero` in dashboards/queries.ts. */
const ZERO = / or on \(\) (?:\(max\(\w+\) \* 0\)|label_replace\(max\(\w+\) \* 0, [^)]*\))/g;

const FILES = parcelDatasets(DATASET, PAUSED);

const SERVICES = ['ingestor', 'validator', 'loader', 'tracker'] as const satisfies readonly MetricSource[];
const CATALOGUE: Readonly<Record<string, MetricFacts>> = METRICS;

/** Metrics that this run cannot have a series of, each with its reason. */
const NOT_CAUSED: Partial<Record<MetricName, string>> = {
  sluice_certificate_expiry_timestamp_seconds: 'needs certificates in the settings',
  sluice_repair_jobs_undecided: 'needs a repair job that has no outcome for 5 minutes',
};

export const measured = scenario('a system that Prometheus reads', FILES, (running) => {
  let system: System;
  let prometheus: PrometheusServer | null = null;
  let publisher: Publisher;
  let late: HeldSource;
  let paused = '';
  /** In seconds since 1970. */
  let startedAt = 0;
  const run = new RunFolder('measured');

  beforeAll(async () => {
    system = running();
    publisher = new Publisher(
      createKafka({ brokers: system.brokers, clientId: 'producer', logger: pino({ level: 'silent' }) }),
    );
    late = await startHeldSource(Buffer.from(parcels(0, 20_000).join('\n')));
    const program = await prometheusProgram();
    if (program === null) return;
    // The tracker looks into the database every 10 s at most, so what it is to report is there before the first scrape.
    const client = clientOf(system);
    ({ id: paused } = await client.startJob({ dataset: PAUSED, source: late.url }));
    const snapshot = await load(parcels(0, 100), { mode: 'replace' });
    expect(snapshot.state).toBe('succeeded');
    await eventually(async () => (await client.job(paused)).state === 'running', 'the job to read');
    await client.pauseJob(paused);
    startedAt = Date.now() / 1_000;
    prometheus = await startPrometheus(program, run, {
      targets: system.services.map((name) => new URL(system.urlOf(name)).host),
      rules: [join(checkoutFolder(), 'alerts', 'sluice.rules.yml')],
    });
    await prometheus.scraped(2);
    await runWithFaults(snapshot.id);
    await prometheus.scraped(2);
  });

  afterAll(async () => {
    const client = clientOf(system);
    if (prometheus !== null) {
      await client.cancelJob(paused);
      await client.drainStream(DATASET);
      await jobEnd(system, paused);
      await eventually(async () => (await client.stream(DATASET)).state === 'stopped', 'the stream to stop');
      for await (const { topic, partition, offset } of client.parkedMessages())
        if (topic.includes(DATASET))
          await client.skipParked(`${topic}/${partition}/${offset}`, 'sent by a test');
    }
    await run.remove();
    await late.close();
    await publisher.disconnect();
  });

  it.each(SERVICES)('has of the %s its metrics with their types, and no others', async (service) => {
    const text = await (await fetch(`${system.urlOf(service)}/metrics`)).text();
    const types = [...text.matchAll(/^# TYPE (sluice_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]);
    const promised = Object.entries(CATALOGUE).filter(([, { from }]) => from.includes(service));
    expect(types.sort()).toEqual(promised.map(([name, { type }]) => [name, type]).sort());
  });

  it('has every metric of the catalogue with its labels, and no other', async () => {
    if (prometheus === null) return;
    const found = new Map<string, Set<string>>();
    for (const { __name__: series = '', ...labels } of await prometheus.series('{__name__=~"sluice_.+"}')) {
      const name = nameOf(series);
      const known = found.get(name) ?? new Set<string>();
      found.set(name, known);
      for (const label of Object.keys(labels)) known.add(label);
    }
    const ofScrape = new Set(['instance', 'job', 'service', 'le']);
    for (const [name, labels] of found)
      expect({ name, labels: [...labels].filter((label) => !ofScrape.has(label)).sort() }).toEqual({
        name,
        labels: [...(CATALOGUE[name]?.labels ?? ['not in the catalogue'])].sort(),
      });
    const missing = Object.keys(METRICS).filter((name) => !found.has(name));
    expect(missing.sort()).toEqual(Object.keys(NOT_CAUSED).sort());
  });

  it('offers values for every variable of the dashboards', async () => {
    if (prometheus === null) return;
    for (const { query } of shownDashboards().flatMap(({ variables }) => variables)) {
      const text = typeof query === 'string' ? query : query.query;
      const [, selector, label = ''] = /^label_values\((.+), (\w+)\)$/.exec(text) ?? [];
      if (selector === undefined) expect(text).toBe('prometheus');
      else
        expect(await prometheus.series(filledIn(selector, '30s'))).toContainEqual(
          expect.objectContaining({ [label]: expect.stringMatching(/./) }),
        );
    }
  });

  it('answers every query of the dashboards with values', async () => {
    if (prometheus === null) return;
    const empty: string[] = [];
    for (const { panel, expr } of panelQueries()) {
      const result = await prometheus.range(filledIn(withoutZero(expr), '30s'), startedAt);
      const isFinite = result.some(({ values }) =>
        values.some(([, value]) => Number.isFinite(Number(value))),
      );
      if (!isFinite) empty.push(panel);
    }
    expect(empty).toEqual([]);
  });

  /** What a panel shows is caused here at least once: streamed, parked, merged, refused, failed, repaired, replayed, traced. */
  async function runWithFaults(snapshot: string): Promise<void> {
    const client = clientOf(system);
    const content = parcels(200, 10).join('\n');
    const flaky = await startSourceServer((_request, response, number) => {
      if (number === 0) response.writeHead(503).end();
      else response.end(content);
    });
    const again = await runJob(system, {
      dataset: DATASET,
      source: flaky.url('/parcels.ndjson'),
      mode: 'upsert',
    });
    expect(again.state).toBe('succeeded');
    await flaky.close();
    await client.startStream(DATASET, { maxMs: 100 });
    await publisher.send(
      parcels(5_000, 20).map((value) => ({
        ...{ topic: `sluice.${DATASET}.inbox`, key: value, headers: {} },
        value: Buffer.from(value),
      })),
    );
    await publisher.send([
      { topic: `sluice.${DATASET}.raw`, key: 'no batch', headers: {}, value: Buffer.from('no batch') },
    ]);
    const refused = await load([...parcels(100, 50), '{"number":1}', '{"number":2}'], { mode: 'upsert' });
    const failed = await load(Array<string>(120).fill('{"number":3}'), {
      mode: 'upsert',
      maxRefusedShare: 0.01,
    });
    expect([refused.state, failed.state]).toEqual(['succeeded', 'failed']);

    const [first, second] = await lettersOf(system, refused.id);
    if (first === undefined || second === undefined) throw new Error('Two records are refused.');
    await client.editDeadLetters({ edits: [{ id: first.id, record: '{"number":1,"weight":7}' }] });
    const { jobs } = await client.resubmitDeadLetters({ ids: [first.id, second.id], by: 'a test' });
    for (const { id } of jobs) await jobEnd(system, id);
    await eventually(
      async () =>
        (await Promise.all([first, second].map(({ job, record }) => client.deadLetter(job, record)))).every(
          ({ state }) => state !== 'resubmitted',
        ),
      'what became of the resubmitted records',
    );
    const { id: replay } = await client.startReplay({ dataset: DATASET, job: snapshot, mode: 'upsert' });
    await eventually(
      async () => (await client.replay(replay ?? '')).finishedAt !== null,
      'the replay to end',
    );
    const request = { dataset: DATASET, key: ['7'] };
    for await (const line of client.trace(request, AbortSignal.timeout(60_000))) expect(line).toBeDefined();
    await eventually(
      async () => (await client.stream(DATASET)).lagRecords === 0,
      'the stream to have taken what was sent',
    );
  }

  let files = 0;
  function load(records: readonly string[], request: Partial<JobRequest>): Promise<JobDetail> {
    files += 1;
    const source = join(system.folder, `${DATASET}-${files}.ndjson`);
    writeFileSync(source, records.map((record) => `${record}\n`).join(''));
    return runJob(system, { dataset: DATASET, source, ...request });
  }
});

/** Of the catalogue: that of a histogram without what its series add. */
function nameOf(series: string): string {
  const base = series.replace(/_(bucket|sum|count)$/, '');
  return base in METRICS && CATALOGUE[base]?.type === 'histogram' ? base : series;
}

/** The zero that stands for no series proves nothing; where the run has no series, the zero is all that there is. */
function withoutZero(expr: string): string {
  const isCaused = Object.keys(NOT_CAUSED).every((name) => !expr.includes(name));
  return isCaused ? expr.replaceAll(ZERO, '') : expr;
}
