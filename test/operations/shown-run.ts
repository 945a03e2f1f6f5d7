/**
 * A run of a few minutes with something to see on every dashboard, for their pictures: files and a stream are loaded, records are
 * refused, repaired and replayed, a job fails, one is paused, and a message is parked.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { JobRequest } from '#api/jobs.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { checkoutFolder } from '#local/folders.js';
import { eventually } from '../support/eventually.js';
import { generatedFile } from '../support/generated-file.js';
import { type HeldSource, startHeldSource } from '../support/held-source.js';
import { RunFolder } from '../support/run-folder.js';
import { clientOf, jobEnd, lettersOf } from '../support/run-job.js';
import { startSourceServer } from '../support/source-server.js';
import { type System, startSystem } from '../support/system.js';
import { parcelDatasets, parcels } from './parcels.js';
import { type PrometheusServer, startPrometheus } from './prometheus-server.js';
import { prometheusProgram } from './prometheus-tools.js';

const REGISTRATIONS = 'tax-registration';
const PARCELS = 'parcels';
/** Whose job is paused most of the time. */
const LATE = 'parcels-late';

/** The stream gets this many messages a second, one after the other and again. */
const WAVE = [20, 40, 80, 120, 160, 120, 80, 40];
const ROUNDS = 9;
/** Of the stream, between two files. */
const SECONDS_A_ROUND = 18;

export interface ShownRun {
  /** Address of the Prometheus that has read it. */
  readonly prometheus: string;
  /** In seconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Ends everything, and removes all traces. */
  stop(): Promise<void>;
}

/** Takes about four minutes, three of which are the run. @throws when Prometheus cannot be had */
export async function startShownRun(): Promise<ShownRun> {
  const program = await prometheusProgram();
  if (program === null) throw new Error('There are no pictures without Prometheus.');
  const run = new RunFolder('shown');
  const datasets = parcelDatasets(PARCELS, LATE);
  const system = await startSystem({ datasets, ownPostgres: true });
  const life = new Life(system);
  const stop = async (): Promise<void> => {
    await life.end();
    await run.remove();
    await system.stop();
  };
  try {
    const prometheus = await startPrometheus(program, run, {
      targets: system.services.map((name) => new URL(system.urlOf(name)).host),
      rules: [join(checkoutFolder(), 'alerts', 'sluice.rules.yml')],
    });
    await prometheus.scraped(1);
    const from = Math.floor(Date.now() / 1_000);
    await life.live(prometheus);
    return { prometheus: prometheus.url, from, to: Math.floor(Date.now() / 1_000), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

class Life {
  private readonly client;
  private readonly publisher;
  private late: HeldSource | undefined;
  private paused = '';
  private sent = 0;
  private files = 0;

  constructor(private readonly system: System) {
    this.client = clientOf(system);
    const logger = pino({ level: 'silent' });
    this.publisher = new Publisher(createKafka({ brokers: system.brokers, clientId: 'producer', logger }));
  }

  async live(prometheus: PrometheusServer): Promise<void> {
    const first = await this.load(parcels(0, 5_000), { mode: 'replace' });
    await this.client.startStream(PARCELS, { maxMs: 1_000 });
    const events: (() => Promise<unknown>)[] = [
      () => this.registrations(1),
      () => this.load([...parcels(6_000, 4_000), ...broken(40)], { mode: 'upsert' }),
      () => this.pauseOne(),
      () => this.flakySource(),
      () => this.load([...parcels(0, 500), ...broken(300)], { mode: 'upsert', maxRefusedShare: 0.01 }),
      () => this.repair(),
      () => this.registrations(2),
      () => this.client.startReplay({ dataset: PARCELS, job: first, mode: 'upsert' }),
      () => this.park(),
    ];
    for (let round = 0; round < ROUNDS; round += 1)
      await Promise.all([this.stream(SECONDS_A_ROUND), events[round]?.()]);
    const lines = this.client.trace({ dataset: PARCELS, key: ['7'] }, AbortSignal.timeout(60_000));
    while ((await lines.next()).done !== true);
    // The tracker looks into the database every 10 s at most.
    await this.stream(SECONDS_A_ROUND);
    await prometheus.scraped(2);
  }

  async end(): Promise<void> {
    await this.late?.close();
    await this.publisher.disconnect();
  }

  private async stream(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      const count = WAVE[Math.floor(this.sent / 200) % WAVE.length] ?? 0;
      // One of 200 is refused.
      const records = parcels(20_000 + (this.sent % 3_000), count).map((value, at) =>
        at === 0 && second % 2 === 0 ? '{"number":1}' : value,
      );
      this.sent += count;
      await this.send('inbox', records);
      await sleep(1_000);
    }
  }

  private async registrations(seed: number): Promise<void> {
    const { path } = generatedFile(this.system, { rows: 40_000, seed, defectShare: 0.01, repeatShare: 0 });
    await this.run({ dataset: REGISTRATIONS, source: path });
  }

  /** A job that reads, and is paused. */
  private async pauseOne(): Promise<void> {
    this.late = await startHeldSource(Buffer.from(parcels(0, 20_000).join('\n')));
    ({ id: this.paused } = await this.client.startJob({ dataset: LATE, source: this.late.url }));
    await eventually(async () => (await this.client.job(this.paused)).state === 'running', 'the job to read');
    await this.client.pauseJob(this.paused);
  }

  /** A source that fails at first. */
  private async flakySource(): Promise<void> {
    const content = parcels(12_000, 3_000).join('\n');
    const flaky = await startSourceServer((_request, response, number) => {
      if (number < 2) response.writeHead(503).end();
      else response.end(content);
    });
    await this.run({ dataset: PARCELS, source: flaky.url('/parcels.ndjson'), mode: 'upsert' });
    await flaky.close();
  }

  private async repair(): Promise<void> {
    const job = await this.load([...parcels(0, 20), ...broken(12)], { mode: 'upsert' });
    const refused = await lettersOf(this.system, job);
    const edits = refused.slice(0, 8).map(({ id }) => ({ id, record: '{"number":1,"weight":7}' }));
    await this.client.editDeadLetters({ edits });
    const ids = refused.map(({ id }) => id);
    const { jobs } = await this.client.resubmitDeadLetters({ ids, by: 'an operator' });
    for (const { id } of jobs) await jobEnd(this.system, id);
  }

  private async park(): Promise<void> {
    await this.send('raw', ['no batch']);
  }

  private async send(kind: string, values: readonly string[]): Promise<void> {
    const topic = `sluice.${PARCELS}.${kind}`;
    await this.publisher.send(
      values.map((value) => ({ topic, key: value, headers: {}, value: Buffer.from(value) })),
    );
  }

  private async load(records: readonly string[], request: Partial<JobRequest>): Promise<string> {
    this.files += 1;
    const source = join(this.system.folder, `${PARCELS}-${this.files}.ndjson`);
    writeFileSync(source, records.map((record) => `${record}\n`).join(''));
    return this.run({ dataset: PARCELS, source, ...request });
  }

  /** To its end, whatever that is. @returns the id */
  private async run(request: JobRequest): Promise<string> {
    const { id } = await this.client.startJob(request);
    await jobEnd(this.system, id);
    return id;
  }
}

/** Records without a weight, and every fourth one is no record at all. */
function broken(count: number): string[] {
  return Array.from({ length: count }, (_, at) => (at % 4 === 0 ? '{"number":' : `{"number":${at}}`));
}
