import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { childEnvironment, isSet, unset } from '#common/config/environment.js';
import { KafkaSecurityConfig } from '#common/config/kafka-security.config.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { OWN_BUILD } from '#common/telemetry/build.js';
import type { LocalFolder } from './folders.js';
import { PortChooser } from './free-ports.js';
import { diskFullText, isDiskFull } from './free-space.js';
import { planKafka } from './kafka/kafka-broker.js';
import type { LocalConfig } from './local.config.js';
import { boundLog } from './log-file.js';
import { planPostgres } from './postgres/postgres-server.js';
import { endProcess, isAlive } from './process-identity.js';
import type { ProcessPlan } from './process-plan.js';
import { secretFile } from './secret-file.js';
import { type ServiceSpec, instanceNames, planService } from './services.js';
import { runToEnd } from './start-process.js';
import { SupervisedProcess } from './supervised-process.js';
import { keepLock, takeLock } from './supervisor-lock.js';
import {
  type ProcessState,
  type SystemState,
  emptyState,
  mixedText,
  readState,
  withLine,
  writeState,
} from './system-state.js';

export interface SupervisorOptions {
  readonly folder: LocalFolder;
  readonly checkout: string;
  readonly config: LocalConfig;
  readonly services: readonly ServiceSpec[];
  /** Arguments for Node that bring tables and topics up to date; KAFKA_BROKERS and DATABASE_URL are set. */
  readonly migrate: readonly string[];
  /** Distinguishes the state file of this start from an older one. */
  readonly run: string;
  readonly logger: Logger;
  readonly say?: (line: string) => void;
  readonly onReady?: () => void;
  readonly housekeepingEveryMs?: number;
}

const HOUSEKEEPING_EVERY_MS = 5_000;
const SERVERS = ['kafka', 'postgres'];

/**
 * Starts a system, keeps it running and ends it.
 *
 * Phases: starting → ready → stopping → stopped; a start that fails ends what it has started: failed.
 * - SV1: One supervisor a folder (supervisor-lock.ts).
 * - SV2: What an earlier supervisor left running, because it was killed, is ended before anything starts.
 * - SV3: Kafka and PostgreSQL come before the services and go after them, so that draining finds both.
 * - SV4: state.json is true at every moment, except that a process may have ended by itself since, and that a full
 *   disk keeps it from being written, which stops nothing. It is written again every few seconds, so that damage
 *   done to it does not last, and its date shows that the supervisor lives.
 * - SV5: Removing the folder (or the whole checkout) of a running system ends it: no command could find it any more.
 * - SV6: Systems that start at the same moment get ports of their own: a supervisor reserves its ports while it runs.
 * - SV7: A full disk ends nothing here: what cannot be written is left out, and what ended because of it is started again
 *   when there is space (supervised-process.ts, SP1).
 * - SV8: What is started after a build while others are from the build before is declared: a mixed system judges by two
 *   contracts.
 */
export class Supervisor {
  private readonly processes: SupervisedProcess[] = [];
  private readonly ports = new PortChooser({ reserves: true });
  private state: SystemState;
  /** The last save failed. */
  private isUnwritable = false;
  private isFull = false;
  private saidMixed: string | null = null;

  constructor(private readonly options: SupervisorOptions) {
    this.state = this.emptyState({});
  }

  private emptyState(ports: Readonly<Record<string, number>>): SystemState {
    const { run, config, services } = this.options;
    const planned = [
      ...(config.kafkaBrokers === undefined ? ['kafka'] : []),
      ...(config.databaseUrl === undefined ? ['postgres'] : []),
      ...services.flatMap(instanceNames),
    ];
    return emptyState(run, ports, { build: OWN_BUILD, planned });
  }

  /**
   * Returns when the system has ended, which `asked` requests.
   * @throws SluiceError when it could not be started (all of it has ended then)
   */
  async run(asked: AbortSignal): Promise<void> {
    const { folder, logger } = this.options;
    folder.make();
    const unlock = takeLock(folder.lock);
    const removed = new AbortController();
    const signal = AbortSignal.any([asked, removed.signal]);
    const housekeeping = setInterval(() => {
      if (existsSync(folder.lock)) this.keepHouse();
      else removed.abort();
    }, this.options.housekeepingEveryMs ?? HOUSEKEEPING_EVERY_MS);
    try {
      const before = readState(folder.state);
      this.state = this.emptyState(before?.ports ?? {});
      await this.endLeftovers(before?.processes ?? []);
      this.save();
      await this.startAll(signal);
      this.change({ phase: 'ready' });
      this.options.onReady?.();
      await untilAborted(signal);
      await this.stopAll();
      this.change({ phase: 'stopped' });
    } catch (error) {
      const wasAsked = signal.aborted;
      if (!wasAsked) {
        logger.error({ err: error }, 'the system could not be started');
        const code = error instanceof SluiceError ? error.code : 'INTERNAL';
        this.change({ problem: { code, message: messageOf(error) } });
      }
      await this.stopAll();
      this.change({ phase: wasAsked ? 'stopped' : 'failed' });
      if (!wasAsked) throw error;
    } finally {
      clearInterval(housekeeping);
      this.ports.release();
      unlock();
    }
  }

  private keepHouse(): void {
    const { folder, logger } = this.options;
    try {
      keepLock(folder.lock);
      for (const name of ['supervisor', ...this.processes.map(({ plan }) => plan.name)]) {
        boundLog(folder.logOf(name));
      }
      this.noteDisk();
    } catch (error) {
      logger.warn({ err: error }, 'housekeeping failed; it is tried again');
    }
    this.save();
  }

  private async startAll(signal: AbortSignal): Promise<void> {
    const { folder, checkout, config, services } = this.options;
    const [kafkaBrokers, databaseUrl] = await this.startServers(signal);
    this.change({ kafkaBrokers, databaseUrl });
    const env = {
      // The Kafka that Sluice starts would refuse a login.
      ...(config.kafkaBrokers === undefined ? unset(KafkaSecurityConfig) : {}),
      KAFKA_BROKERS: kafkaBrokers,
      DATABASE_URL: databaseUrl,
      SLUICE_LOCAL_TOKEN_FILE: secretFile(folder.token),
      ...(isSet('SLUICE_MESSAGE_KEY') ? {} : { SLUICE_MESSAGE_KEY_FILE: secretFile(folder.messageKey) }),
    };
    this.say('bringing tables and topics up to date');
    await this.migrate(env, signal);
    this.say('starting the services');
    const plans: ProcessPlan[] = [];
    for (const service of services) {
      for (const name of instanceNames(service)) {
        const port = await this.port(name, name === service.name ? service.preferredPort : undefined);
        const { main } = service;
        const { drainTimeoutMs } = config;
        plans.push(
          planService({ name, main, port, logFile: folder.logOf(name), cwd: checkout, drainTimeoutMs, env }),
        );
      }
    }
    await this.startTogether(plans, signal);
  }

  /** Side by side; when one fails, the other is called off, and both have settled before this throws. */
  private async startServers(asked: AbortSignal): Promise<[kafkaBrokers: string, databaseUrl: string]> {
    const failure = new AbortController();
    const signal = AbortSignal.any([asked, failure.signal]);
    const callOff = (error: unknown): never => {
      failure.abort(error);
      throw error;
    };
    const kafka = this.startKafka(signal).catch(callOff);
    const postgres = this.startPostgres(signal).catch(callOff);
    await Promise.allSettled([kafka, postgres]);
    failure.signal.throwIfAborted();
    return [await kafka, await postgres];
  }

  private async startKafka(signal: AbortSignal): Promise<string> {
    const { folder, config } = this.options;
    if (config.kafkaBrokers !== undefined) return config.kafkaBrokers;
    this.say('starting Kafka');
    const plan = await planKafka({
      folder: folder.kafka,
      logFile: folder.logOf('kafka'),
      port: await this.port('kafka', 19_092),
      controllerPort: await this.port('kafka-controller', 19_093),
      heapMb: config.kafkaHeapMb,
    });
    await this.startTogether([plan], signal);
    return `127.0.0.1:${plan.port}`;
  }

  private async startPostgres(signal: AbortSignal): Promise<string> {
    const { folder, config } = this.options;
    if (config.databaseUrl !== undefined) return config.databaseUrl;
    this.say('starting PostgreSQL');
    const plan = await planPostgres({
      folder: folder.postgres,
      logFile: folder.logOf('postgres'),
      port: await this.port('postgres', 15_432),
    });
    if (plan.home.movedTo !== null) {
      this.say(`PostgreSQL's user cannot reach ${folder.path}: its data are in ${plan.home.movedTo}`);
    }
    await this.startTogether([plan], signal);
    return plan.url;
  }

  private async migrate(
    env: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal,
  ): Promise<void> {
    const { migrate, checkout, folder } = this.options;
    const outcome = await runToEnd(process.execPath, migrate, {
      cwd: checkout,
      env: childEnvironment(env),
      signal,
    });
    const output = `${outcome.stdout}${outcome.stderr}`;
    writeFileSync(folder.logOf('migrate'), output, { mode: 0o600 });
    if (outcome.code !== 0) {
      throw new SluiceError(
        'LOCAL_START_FAILED',
        `Tables and topics could not be brought up to date (exit code ${outcome.code ?? '?'}): ${output.trim().slice(-1_500)}`,
      );
    }
  }

  private async startTogether(plans: readonly ProcessPlan[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const started = plans.map(
      (plan) =>
        new SupervisedProcess(plan, {
          readyTimeoutMs: this.options.config.readyTimeoutMs,
          logger: this.options.logger,
          onChange: () => {
            this.save();
          },
          say: (line) => {
            this.say(line);
          },
        }),
    );
    this.processes.push(...started);
    const abandon = (): void => {
      for (const process of started) void process.stop();
    };
    signal.addEventListener('abort', abandon, { once: true });
    try {
      await Promise.all(started.map((process) => process.start()));
    } finally {
      signal.removeEventListener('abort', abandon);
    }
  }

  /** SV3 */
  private async stopAll(): Promise<void> {
    if (this.processes.length === 0) return;
    this.change({ phase: 'stopping' });
    const isServer = ({ plan }: SupervisedProcess): boolean => SERVERS.includes(plan.name);
    const services = this.processes.filter((process) => !isServer(process));
    if (services.length > 0) this.say('draining the services');
    await Promise.all(services.map((process) => process.stop()));
    const servers = this.processes.filter(isServer);
    if (servers.length > 0) this.say('stopping Kafka and PostgreSQL');
    await Promise.all(servers.map((process) => process.stop()));
  }

  /** SV2 */
  private async endLeftovers(before: readonly ProcessState[]): Promise<void> {
    const ended = await endLeftovers(before);
    if (ended.length > 0) this.say(`ended what an earlier start left running: ${ended.join(', ')}`);
  }

  /** The remembered port, else the usual one, else any that is free. */
  private async port(name: string, preferred: number | undefined): Promise<number> {
    const port = await this.ports.choose(this.state.ports[name], preferred);
    this.change({ ports: { ...this.state.ports, [name]: port } });
    return port;
  }

  private say(line: string): void {
    this.options.logger.info(line);
    this.options.say?.(line);
    this.state = withLine(this.state, line);
    this.save();
  }

  private change(part: Partial<SystemState>): void {
    this.state = { ...this.state, ...part };
    this.save();
  }

  private save(): void {
    const processes = this.processes.map(({ state }) => state);
    this.sayMixed(processes);
    this.state = { ...this.state, savedAt: Date.now(), processes };
    try {
      writeState(this.options.folder.state, this.state);
      this.isUnwritable = false;
    } catch (error) {
      if (!this.isUnwritable)
        this.options.logger.error({ err: error }, 'the state file could not be written');
      this.isUnwritable = true;
    }
  }

  /** SV8 */
  private sayMixed(processes: readonly ProcessState[]): void {
    const text = mixedText(this.state.build, processes);
    if (text === null || text === this.saidMixed) return;
    this.saidMixed = text;
    this.say(text);
  }

  /** SV7 */
  private noteDisk(): void {
    const isFull = isDiskFull(this.options.folder.path);
    if (isFull !== this.isFull)
      this.say(isFull ? diskFullText(this.options.folder.path) : 'there is space on the disk again');
    this.isFull = isFull;
  }
}

/**
 * Ends what a killed supervisor left running: services first, then the servers.
 * @returns the names of what was ended
 */
export async function endLeftovers(processes: readonly ProcessState[]): Promise<string[]> {
  const alive = processes.filter(({ ref }) => ref !== null && isAlive(ref));
  const end = async ({ ref, stopSteps }: ProcessState): Promise<void> => {
    if (ref !== null) await endProcess(ref, stopSteps);
  };
  await Promise.all(alive.filter(({ name }) => !SERVERS.includes(name)).map(end));
  await Promise.all(alive.filter(({ name }) => SERVERS.includes(name)).map(end));
  return alive.map(({ name }) => name);
}

/** The command line's own main file, as the supervisor runs it for the migration. */
export function migrateCommand(checkout: string): string[] {
  return [join(checkout, 'dist', 'apps', 'cli', 'src', 'main.js'), 'migrate'];
}

/** The tracker's rebuild, as a process: the command line imports no service. */
export function rebuildCommand(checkout: string): string[] {
  return [join(checkout, 'dist', 'apps', 'tracker', 'src', 'rebuild.js')];
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
  });
}
