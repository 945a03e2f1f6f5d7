import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type pg from 'pg';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import { serveFile } from '../../apps/cli/src/commands/demo/serve-file.js';
import { LocalFolder, checkoutFolder } from '#local/folders.js';
import { PortChooser } from '#local/free-ports.js';
import { runToEnd } from '#local/start-process.js';
import { lockHolder } from '#local/supervisor-lock.js';
import { type SystemState, emptyState, readState, writeState } from '#local/system-state.js';
import type { RunJson } from '../../apps/cli/src/render/run-json.js';
import { eventually } from '#test/support/eventually.js';
import type { RunFolder } from '#test/support/run-folder.js';
import { addedBytes, brokerBytes } from './broker-log.js';
import { type Cost, type NamedProcess, costOf } from './cost.js';
import { type JobTimes, jobTimesOf, partsOf } from './job-times.js';
import type { Profiling } from '../profile/profiling.js';
import { openClient } from './open-client.js';

const MAIN = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');

/** Files for jobs that only make fresh processes ready. */
const WARM_UP = 'warm-up';
/** What prefers a port of its own when it is started for the first time. */
const PREFERRING = ['kafka', 'kafka-controller', 'postgres', 'ingestor', 'validator', 'loader', 'tracker'];

/** `NAME=value` for every process of the system, as docs/configuration.md lists them; undefined takes one away. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a piece of work took and cost; all but `result` belongs in a Run. */
export interface Measured<T> extends Cost {
  readonly result: T;
  readonly seconds: number;
  readonly brokerBytes: Readonly<Record<string, number>>;
}

/** One job, from the request to the report. */
export interface MeasuredJob extends Omit<Measured<unknown>, 'result'> {
  readonly report: RunJson;
  /** Between the events of `times`; they add up to `seconds`. */
  readonly parts: Readonly<Record<string, number>>;
  /** From the request to the moment its rows were visible. The tracker may still be indexing refused records then. */
  readonly visibleSeconds: number;
  readonly times: JobTimes;
}

/**
 * A system of its own for measurements, used by its command line as a user would. Its servers have the settings of
 * `sluice up`; KAFKA_BROKERS and DATABASE_URL of the caller are not used. It ends with this process, however that ends.
 */
export class BenchSystem {
  private readonly local: LocalFolder;
  private environment: Environment = {};
  private connection: pg.Client | undefined;
  private jobs = 0;

  /** @param folder of its own, which PostgreSQL's user can enter */
  constructor(
    private readonly folder: RunFolder,
    private readonly say: (line: string) => void,
    private readonly profiling?: Profiling,
  ) {
    this.local = new LocalFolder(join(folder.path, 'system'));
  }

  /** Starts it with empty tables and topics. */
  async up(environment: Environment = {}): Promise<void> {
    this.environment = environment;
    this.jobs = 0;
    const names = Object.entries(environment).map(([name, value]) => `${name}=${value ?? ''}`);
    this.say(['starting a system', ...names].join(' '));
    await this.chooseUnusualPorts();
    await this.sluice(['up'], this.profiling?.environment);
    const supervisor = lockHolder(this.local.lock);
    if (supervisor !== null) this.folder.alsoEnd(supervisor.pid);
    this.connection = await openClient(this.databaseUrl);
  }

  /** Another one in its place: empty tables and topics, other settings. */
  async restart(environment: Environment = {}): Promise<void> {
    await this.remove();
    await this.up(environment);
  }

  /** Whether its settings are not those of `up()`. */
  get isChanged(): boolean {
    return Object.keys(this.environment).length > 0;
  }

  /** Whether {@link run} has loaded a file since it was started. */
  get hasRunJobs(): boolean {
    return this.jobs > 0;
  }

  /** Of the database with all tables; holds the password. */
  get databaseUrl(): string {
    return this.state().databaseUrl ?? '';
  }

  get kafkaBrokers(): readonly string[] {
    return (this.state().kafkaBrokers ?? '').split(',');
  }

  /** One connection to that database, for questions; not for what is measured. */
  get database(): pg.Client {
    if (this.connection === undefined) throw new SluiceError('INTERNAL', 'The system has not been started.');
    return this.connection;
  }

  /** Its HTTP API, as a caller on this machine has it. */
  get client(): SluiceClient {
    const { ports } = this.state();
    const urlOf = (name: string): string => `http://127.0.0.1:${ports[name] ?? 0}`;
    const token = readFileSync(this.local.token, 'utf8').trim();
    return new SluiceClient({ ingestorUrl: urlOf('ingestor'), trackerUrl: urlOf('tracker'), token });
  }

  /** kafka, postgres and the services. */
  get processes(): readonly NamedProcess[] {
    return this.state().processes.flatMap(({ name, ref }) => (ref === null ? [] : [{ name, pid: ref.pid }]));
  }

  /** Folder of every process's log. */
  get logs(): string {
    return dirname(this.local.logOf(''));
  }

  /** The broker's properties file. */
  get brokerProperties(): string {
    return join(this.local.kafka, 'server.properties');
  }

  /**
   * Serves a file over HTTP and loads it. The clock starts when the request has made the job (its `createdAt`) and stops
   * when the command has its report; `parts` add up to that time.
   * @param file one whose name begins with `warm-up` is not profiled
   * @param more further arguments of `sluice run`
   * @throws SluiceError unless the job succeeded
   */
  async run(dataset: string, file: string, ...more: readonly string[]): Promise<MeasuredJob> {
    const served = await serveFile(file, `/${basename(file)}`);
    const profiling = basename(file).startsWith(WARM_UP) ? undefined : this.profiling;
    try {
      const args = ['run', dataset, '--source', served.url, '--yes', '--json', ...more];
      const { result, ...cost } = await this.measure(async () => {
        await profiling?.begin(this.processes);
        const report = JSON.parse(await this.sluice(args)) as RunJson;
        const reportedAt = Date.now();
        await profiling?.end(this.processes);
        return { report, reportedAt };
      });
      const { report, reportedAt } = result;
      if (report.state !== 'succeeded') {
        throw new SluiceError('INTERNAL', `A job to be measured ended otherwise: ${JSON.stringify(report)}`);
      }
      this.jobs += 1;
      const times = await jobTimesOf(this.database, report.job, reportedAt);
      const seconds = (times.reportedAt - times.createdAt) / 1000;
      const visibleSeconds = (times.visibleAt - times.createdAt) / 1000;
      return { report, times, ...cost, seconds, visibleSeconds, parts: partsOf(times) };
    } finally {
      await served.close();
    }
  }

  /** Does some work whose profiles are written with `--profile`. */
  async profiled<T>(work: () => Promise<T>): Promise<T> {
    await this.profiling?.begin(this.processes);
    const result = await work();
    await this.profiling?.end(this.processes);
    return result;
  }

  /**
   * Does some work on this system, such as a baseline's psql, and reports what it took. Earlier jobs have been announced
   * by then, and a checkpoint comes first, so that none pays for what the one before has left to be written.
   * @param more processes whose cost is reported as well
   */
  async measure<T>(work: () => Promise<T>, more: readonly NamedProcess[] = []): Promise<Measured<T>> {
    const unannounced = 'SELECT FROM sluice.job WHERE NOT announced';
    await eventually(
      async () => (await this.database.query(unannounced)).rowCount === 0,
      'earlier jobs to be announced',
    );
    await this.database.query('CHECKPOINT');
    const data = join(this.local.kafka, 'data');
    const before = brokerBytes(data);
    const measured = await costOf(work, [...this.processes, ...more]);
    return { ...measured, brokerBytes: addedBytes(before, brokerBytes(data)) };
  }

  /** Ends it, and removes what it has written. Does nothing when it is not there. */
  async remove(): Promise<void> {
    await this.connection?.end().catch(() => undefined);
    this.connection = undefined;
    if (!existsSync(this.local.path)) return;
    await this.sluice(['down']);
    // Where root's PostgreSQL could not reach the folder (postgres-home.ts, PH3).
    const record = join(this.local.postgres, 'moved-to');
    const moved = existsSync(record) ? [readFileSync(record, 'utf8').trim()] : [];
    for (const folder of [this.local.path, ...moved]) {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /**
   * The usual ports are left to the checkout's own system, whose users know them. What a state file remembers is preferred.
   */
  private async chooseUnusualPorts(): Promise<void> {
    const chooser = new PortChooser();
    const ports: Record<string, number> = {};
    for (const name of PREFERRING) ports[name] = await chooser.choose();
    writeState(this.local.make().state, emptyState('bench', ports));
  }

  private state(): SystemState {
    const state = readState(this.local.state);
    if (state === undefined) throw new SluiceError('INTERNAL', 'The system has not been started.');
    return state;
  }

  /**
   * Runs one command of the CLI to its end.
   * @returns what it printed
   * @throws SluiceError with what it said, when it printed nothing and failed
   */
  private async sluice(args: readonly string[], more: Environment = {}): Promise<string> {
    const env = childEnvironment({
      ...{ KAFKA_BROKERS: undefined, DATABASE_URL: undefined, NO_COLOR: '1' },
      ...this.environment,
      ...more,
      SLUICE_LOCAL_FOLDER: this.local.path,
    });
    const { code, stdout, stderr } = await runToEnd(process.execPath, [MAIN, ...args], { env });
    if (code !== 0 && stdout === '') {
      throw new SluiceError('INTERNAL', `sluice ${args[0] ?? ''} failed (${code ?? '?'}): ${stderr.trim()}`);
    }
    return stdout;
  }
}
