import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { checkoutFolder } from '#local/folders.js';
import { PortChooser } from '#local/free-ports.js';
import { planKafka } from '#local/kafka/kafka-broker.js';
import { LocalConfig } from '#local/local.config.js';
import { THROW_AWAY_SETTINGS, planPostgres } from '#local/postgres/postgres-server.js';
import { isAlive } from '#local/process-identity.js';
import type { ProcessPlan } from '#local/process-plan.js';
import { instanceNames, planService, servicesOf } from '#local/services.js';
import { type StartedProcess, runToEnd, tailOf } from '#local/start-process.js';
import { migrateCommand } from '#local/supervisor.js';
import { type KafkaProxy, startKafkaProxy } from './kafka-proxy.js';
import { startTestDatabase } from './postgres.js';
import { READY_TIMEOUT_MS, RunFolder } from './run-folder.js';
import { logJudgements, securedSettings } from './secured-kafka.js';

export interface SystemOptions {
  /** Of each dataset's topics; 3 when left out. */
  readonly partitions?: number;
  /** How many of each; 1 when left out. */
  readonly validators?: number;
  readonly loaders?: number;
  readonly ingestors?: number;
  /** More variables for the migration and every service. */
  readonly env?: Readonly<Record<string, string>>;
  /** Datasets of its own, on top of those that SLUICE_DATASET_PATHS in `env` names; they stand in `system.datasetFolder`. */
  readonly datasets?: DatasetFiles;
  /** A PostgreSQL of its own, so that `kill('postgres')` harms no one else; else a database on the run's server. */
  readonly ownPostgres?: boolean;
  /** Of that PostgreSQL, on top of THROW_AWAY_SETTINGS. */
  readonly postgresSettings?: Readonly<Record<string, string | number>>;
  /** Puts a proxy between the services and the broker: `system.kafkaProxy`. */
  readonly proxiesKafka?: boolean;
  /** The broker asks for logins, and judges by ACLs (secured-kafka.ts). */
  readonly securesKafka?: boolean;
  /** With the servers there, and nothing in them. */
  readonly beforeMigrate?: (system: System) => Promise<void>;
  /** With tables and topics there, and no service. */
  readonly beforeServices?: (system: System) => Promise<void>;
  /** On top of `env`, for one service or for `migrate`. */
  readonly envOf?: (name: ProcessName, system: System) => Readonly<Record<string, string>>;
}

/** Texts of datasets' files, by their path: `orders/dataset.js`. */
export type DatasetFiles = Readonly<Record<string, string>>;

/** `ingestor`, `validator`, `validator-2`, `loader`, `tracker`, `kafka`, and `postgres` when it is the system's own. */
export type ProcessName = string;

/** A whole Sluice: the built services as processes, on a Kafka of their own and a database of their own. */
export interface System {
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly ingestorUrl: string;
  readonly trackerUrl: string;
  /** What `Authorization: Bearer` takes for `file` sources of any folder; also in `tokenFile`. */
  readonly token: string;
  readonly tokenFile: string;
  /** Goes with the system. For source files. */
  readonly folder: string;
  /** Where `datasets` of its options stand: what changes here is read by every service that is started from then on. */
  readonly datasetFolder: string;
  /** A file here arms a fault point (see fault-points.ts). */
  readonly faultFolder: string;
  /** @throws when the system was started without one */
  readonly kafkaProxy: KafkaProxy;
  /** What the command line and other processes need to find this system. */
  readonly env: Readonly<Record<string, string>>;
  /** Names of all services, running or not. */
  readonly services: readonly ProcessName[];
  urlOf(name: ProcessName): string;
  pidOf(name: ProcessName): number;
  /** Whether it is one of this system's processes, running or not; a PostgreSQL that is shared is not. */
  has(name: ProcessName): boolean;
  isRunning(name: ProcessName): boolean;
  /** The process that has, or last had, this id. */
  nameOf(pid: number): ProcessName;
  /** Sends a signal and does not wait: SIGSTOP and SIGCONT make and end a stall. */
  signal(name: ProcessName, signal: NodeJS.Signals): void;
  /** Sends a signal (SIGKILL when left out) and waits until the process is gone. */
  kill(name: ProcessName, signal?: NodeJS.Signals): Promise<void>;
  /** Starts a process that is gone, at the same port with the same data, and waits until it is ready. */
  restart(name: ProcessName, options?: { readonly waitsForReady?: boolean }): Promise<void>;
  /** Runs `sluice migrate` once more: makes what is missing. */
  migrate(): Promise<void>;
  /** Stops the tracker, throws its read model away, and starts it again. */
  rebuildTracker(): Promise<void>;
  /** Everything it has written so far. */
  logsOf(name: ProcessName): string;
  /** Ends everything and removes all traces. */
  stop(): Promise<void>;
}

/** Starts a system and waits until every service is ready; needs a build (Jest's global set-up of e2e makes it). */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const system = new TestSystem(options);
  try {
    await system.start();
  } catch (error) {
    await system.stop();
    throw error;
  }
  return system;
}

/** Read by e2e-environment.js: whose logs to show when a test fails. */
const running = ((globalThis as { sluiceSystems?: Set<TestSystem> }).sluiceSystems ??= new Set<TestSystem>());

class TestSystem implements System {
  databaseUrl = '';
  brokers: string[] = [];
  readonly token = randomBytes(32).toString('hex');
  readonly tokenFile: string;
  readonly folder: string;
  readonly datasetFolder: string;
  readonly faultFolder: string;
  private readonly messageKey = randomBytes(32).toString('hex');
  private proxy: KafkaProxy | undefined;
  private readonly run = new RunFolder('system');
  private readonly ports = new PortChooser({ reserves: true });
  private readonly processes = new Map<ProcessName, StartedProcess>();
  private readonly plans = new Map<ProcessName, ProcessPlan>();
  private readonly endings: (() => Promise<void>)[] = [];

  constructor(private readonly options: SystemOptions) {
    this.folder = this.run.path;
    this.tokenFile = join(this.run.path, 'token');
    this.faultFolder = join(this.run.path, 'faults');
    mkdirSync(this.faultFolder);
    this.datasetFolder = join(this.run.path, 'datasets');
    if (options.datasets !== undefined)
      writeFiles(this.datasetFolder, { 'package.json': '{"type":"module"}', ...options.datasets });
    writeFileSync(this.tokenFile, `${this.token}\n`, { mode: 0o600 });
    running.add(this);
  }

  get ingestorUrl(): string {
    return this.urlOf('ingestor');
  }

  get trackerUrl(): string {
    return this.urlOf('tracker');
  }

  get kafkaProxy(): KafkaProxy {
    if (this.proxy === undefined) throw new Error('This system was started without a proxy for Kafka.');
    return this.proxy;
  }

  get env(): Record<string, string> {
    return {
      ...this.serverEnv(),
      SLUICE_INGESTOR_URL: this.ingestorUrl,
      SLUICE_TRACKER_URL: this.trackerUrl,
      SLUICE_LOCAL_TOKEN_FILE: this.tokenFile,
    };
  }

  async start(): Promise<void> {
    [this.brokers, this.databaseUrl] = await Promise.all([this.startKafka(), this.startDatabase()]);
    await this.options.beforeMigrate?.(this);
    await this.migrate();
    await this.options.beforeServices?.(this);
    const { validators = 1, loaders = 1, ingestors = 1 } = this.options;
    const config = Object.assign(new LocalConfig(), { validators, loaders, ingestors });
    const checkout = checkoutFolder();
    for (const service of servicesOf(config, checkout)) {
      for (const name of instanceNames(service)) {
        const plan = planService({
          name,
          main: service.main,
          port: await this.ports.choose(),
          logFile: this.logFile(name),
          cwd: this.folder,
          drainTimeoutMs: config.drainTimeoutMs,
          env: {
            ...this.serverEnv(),
            SLUICE_LOCAL_TOKEN_FILE: this.tokenFile,
            ...this.options.envOf?.(name, this),
          },
        });
        this.plans.set(name, plan);
      }
    }
    await Promise.all(this.services.map((name) => this.restart(name)));
  }

  get services(): ProcessName[] {
    return [...this.plans.keys()].filter((name) => name !== 'kafka' && name !== 'postgres');
  }

  urlOf(name: ProcessName): string {
    return `http://127.0.0.1:${this.planOf(name).port}`;
  }

  pidOf(name: ProcessName): number {
    return this.processOf(name).ref.pid;
  }

  has(name: ProcessName): boolean {
    return this.plans.has(name);
  }

  isRunning(name: ProcessName): boolean {
    const started = this.processes.get(name);
    return started !== undefined && isAlive(started.ref);
  }

  nameOf(pid: number): ProcessName {
    for (const [name, { ref }] of this.processes) if (ref.pid === pid) return name;
    throw new Error(`None of this system's processes has the id ${pid}.`);
  }

  signal(name: ProcessName, signal: NodeJS.Signals): void {
    process.kill(this.pidOf(name), signal);
  }

  async kill(name: ProcessName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const started = this.processOf(name);
    process.kill(started.ref.pid, signal);
    await started.ended;
  }

  async restart(name: ProcessName, { waitsForReady = true } = {}): Promise<void> {
    const plan = this.planOf(name);
    this.processes.set(name, await (waitsForReady ? this.run.start(plan) : this.run.launch(plan)));
  }

  logsOf(name: ProcessName): string {
    return readFileSync(this.logFile(name), 'utf8');
  }

  /** The last lines of every log, for a person who looks at a failed test. */
  describe(): string {
    const tails = [...this.plans.keys()].map(
      (name) => `--- ${name} ---\n${tailOf(this.logFile(name), 4_000)}`,
    );
    return tails.join('\n');
  }

  async stop(): Promise<void> {
    running.delete(this);
    const services = [...this.processes].filter(([name]) => name !== 'kafka' && name !== 'postgres');
    await Promise.all(services.map(([, started]) => this.run.stop(started)));
    await this.run.remove();
    for (const end of this.endings) await end();
    this.ports.release();
  }

  private async startKafka(): Promise<string[]> {
    const port = await this.ports.choose();
    if (this.options.proxiesKafka === true) {
      this.proxy = await startKafkaProxy(port);
      this.endings.push(() => this.kafkaProxy.close());
    }
    const controllerPort = await this.ports.choose();
    const loginPort = this.options.securesKafka === true ? await this.ports.choose() : null;
    const reachedAt = `127.0.0.1:${loginPort ?? this.proxy?.port ?? port}`;
    const plan = await planKafka({
      folder: join(this.folder, 'kafka'),
      logFile: this.logFile('kafka'),
      port,
      controllerPort,
      heapMb: 384,
      settings: {
        'advertised.listeners': `PLAINTEXT://${reachedAt}`,
        ...(loginPort === null ? {} : securedSettings({ port, controllerPort, loginPort })),
        // So that a test may have a consumer missed sooner than after Kafka's 6 s.
        'group.min.session.timeout.ms': 1_000,
        // A killed broker may come back when it is missed, which takes 9 s otherwise.
        'broker.session.timeout.ms': 3_000,
        'broker.heartbeat.interval.ms': 500,
      },
    });
    if (loginPort !== null) logJudgements(join(this.folder, 'kafka'));
    this.plans.set('kafka', plan);
    await this.restart('kafka');
    return [reachedAt];
  }

  private async startDatabase(): Promise<string> {
    if (this.options.ownPostgres !== true) {
      const database = await startTestDatabase();
      this.endings.push(() => database.stop());
      return database.url;
    }
    const plan = await planPostgres({
      folder: join(this.folder, 'postgres'),
      logFile: this.logFile('postgres'),
      port: await this.ports.choose(),
      settings: { ...THROW_AWAY_SETTINGS, ...this.options.postgresSettings },
    });
    if (plan.home.movedTo !== null) this.run.alsoRemove(plan.home.movedTo);
    this.plans.set('postgres', plan);
    await this.restart('postgres');
    return plan.url;
  }

  async migrate(): Promise<void> {
    await this.runTool(migrateCommand(checkoutFolder()));
  }

  async rebuildTracker(): Promise<void> {
    await this.kill('tracker', 'SIGTERM');
    await this.runTool([join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js'), 'rebuild']);
    await this.restart('tracker');
  }

  private async runTool(command: readonly string[]): Promise<void> {
    const env = { ...this.serverEnv(), ...this.options.envOf?.('migrate', this) };
    const { code, stdout, stderr } = await runToEnd(process.execPath, command, {
      cwd: this.folder,
      env: childEnvironment(env),
      signal: AbortSignal.timeout(READY_TIMEOUT_MS),
    });
    if (code !== 0)
      throw new Error(`${command.join(' ')} ended with ${code ?? 'a signal'}:\n${stdout}${stderr}`);
  }

  private serverEnv(): Record<string, string> {
    const { partitions = 3, datasets, env = {} } = this.options;
    const { SLUICE_DATASET_PATHS: others } = env;
    return {
      KAFKA_BROKERS: this.brokers.join(','),
      DATABASE_URL: this.databaseUrl,
      SLUICE_TOPIC_PARTITIONS: String(partitions),
      SLUICE_FAULT_FOLDER: this.faultFolder,
      // As `sluice up` has it: every message is sealed.
      SLUICE_MESSAGE_KEY: this.messageKey,
      ...env,
      ...(datasets && {
        SLUICE_DATASET_PATHS: [this.datasetFolder, ...(others === undefined ? [] : [others])].join(':'),
      }),
    };
  }

  private logFile(name: ProcessName): string {
    return join(this.folder, 'logs', `${name}.log`);
  }

  private planOf(name: ProcessName): ProcessPlan {
    const plan = this.plans.get(name);
    if (plan === undefined)
      throw new Error(`This system has no ${name}; it has ${[...this.plans.keys()].join(', ')}.`);
    return plan;
  }

  private processOf(name: ProcessName): StartedProcess {
    const started = this.processes.get(name);
    if (started === undefined) throw new Error(`${name} was not started.`);
    return started;
  }
}

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
