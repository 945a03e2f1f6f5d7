import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childEnvironment, loadSettings } from '#common/config/environment.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { createLogger } from '#common/telemetry/logger.js';
import type {
  LocalState,
  LocalSystem,
  LogOptions,
  ProcessStatus,
  Requirement,
  Say,
  SystemStatus,
  UpOptions,
} from './local-system.js';
import { checkMachine, requireMachine } from './doctor.js';
import { LocalFolder, checkoutFolder } from './folders.js';
import { diskFullText, isDiskFull } from './free-space.js';
import { LocalConfig } from './local.config.js';
import { showLogs } from './logs.js';
import { type ProcessRef, endProcess, isAlive } from './process-identity.js';
import { expectHealthy, instanceNames, servicesOf } from './services.js';
import {
  type Outcome,
  type StartedProcess,
  endText,
  runToEnd,
  startProcess,
  withLogTail,
} from './start-process.js';
import { Supervisor, endLeftovers, migrateCommand, rebuildCommand } from './supervisor.js';
import { lockHolder } from './supervisor-lock.js';
import {
  type ProcessState,
  type StateFile,
  type SystemState,
  mixedText,
  readState,
  readStateFile,
} from './system-state.js';

const POLL_MS = 100;
/** A supervisor writes its state every five seconds. */
const SILENT_MS = 60_000;

/** The real LocalSystem: the one in `.sluice` of this checkout, or in SLUICE_LOCAL_FOLDER. */
export class CheckoutSystem implements LocalSystem {
  /** @param silentMs after so long without a new state of a living supervisor, `up` gives up */
  constructor(private readonly silentMs = SILENT_MS) {}

  state(): Promise<LocalState | undefined> {
    const folder = this.folder();
    const state = readState(folder.state);
    const isUp = state?.phase === 'ready' && state.processes.some(runs);
    return Promise.resolve(isUp ? this.describe(folder, state) : undefined);
  }

  /** @throws SluiceError REQUIREMENT_MISSING, LOCAL_START_FAILED saying what stands in the way */
  async up(options: UpOptions): Promise<LocalState> {
    const folder = this.folder().make();
    await requireMachine(folder, this.config());
    return options.foreground ? this.upInForeground(folder, options) : this.upInBackground(folder, options);
  }

  async down(say: Say): Promise<boolean> {
    const folder = this.folder();
    const holder = lockHolder(folder.lock);
    if (holder !== null) {
      const follower = new Follower(folder, say);
      follower.skip();
      const polling = setInterval(() => {
        follower.poll();
      }, POLL_MS);
      try {
        await endProcess(holder, [{ signal: 'SIGTERM', waitMs: this.stopMs() }]);
      } finally {
        clearInterval(polling);
      }
      follower.poll();
    }
    const left = await endLeftovers(readState(folder.state)?.processes ?? []);
    if (left.length > 0) say(`ended what was left running: ${left.join(', ')}`);
    return holder !== null || left.length > 0;
  }

  async status(): Promise<SystemStatus> {
    const folder = this.folder();
    const read = readStateFile(folder.state);
    const holder = lockHolder(folder.lock);
    const state = read.found === 'state' ? read.state : undefined;
    const processes = state?.processes ?? [];
    if (holder === null && !processes.some(runs)) return { processes: [], isReady: false, troubles: [] };
    const known = await Promise.all(processes.map(statusOf));
    const missing = (state?.planned ?? []).filter((name) => !processes.some((each) => each.name === name));
    const all = [supervisorStatus(holder, read), ...known, ...missing.map(notStarted)];
    const troubles = [
      ...all.filter(({ state }) => state !== 'ready').map(troubleText),
      ...(state === undefined ? [] : [mixedText(state.build, processes)].filter((text) => text !== null)),
      ...(isDiskFull(folder.path) ? [diskFullText(folder.path)] : []),
    ];
    return { processes: all, isReady: all.every(({ state }) => state === 'ready'), troubles };
  }

  doctor(): Promise<readonly Requirement[]> {
    return checkMachine(this.folder(), this.config());
  }

  rebuild(servers: Readonly<Record<string, string | undefined>>): Promise<Outcome> {
    const env = childEnvironment(servers);
    return runToEnd(process.execPath, rebuildCommand(checkoutFolder()), { cwd: checkoutFolder(), env });
  }

  logs(options: LogOptions): Promise<void> {
    return showLogs(this.folder(), options);
  }

  private async upInForeground(folder: LocalFolder, { say, signal }: UpOptions): Promise<LocalState> {
    const config = this.config();
    const checkout = checkoutFolder();
    // Closing the terminal ends the command as Ctrl-C does, but no one is left to read its output.
    const hangUp = new AbortController();
    const onHangUp = (): void => {
      hangUp.abort();
    };
    process.once('SIGHUP', onHangUp);
    const sayToTerminal: Say = (line) => {
      if (!hangUp.signal.aborted) say(line);
    };
    const supervisor = new Supervisor({
      folder,
      checkout,
      config,
      services: servicesOf(config, checkout),
      migrate: migrateCommand(checkout),
      run: randomUUID(),
      logger: createLogger('supervisor', 'silent'),
      say: sayToTerminal,
      onReady: () => {
        sayToTerminal('ready; Ctrl-C stops everything');
      },
    });
    try {
      await supervisor.run(AbortSignal.any([signal, hangUp.signal]));
    } finally {
      process.removeListener('SIGHUP', onHangUp);
    }
    const state = readState(folder.state);
    return this.describe(folder, state);
  }

  private async upInBackground(folder: LocalFolder, { say, signal }: UpOptions): Promise<LocalState> {
    if (lockHolder(folder.lock) !== null && readState(folder.state)?.phase === 'stopping') {
      say('waiting until the system before has stopped');
      await this.untilUnlocked(folder, signal);
    }
    const follower = new Follower(folder, say);
    let supervisor: StartedProcess | null = null;
    let run: string | null = null;
    if (lockHolder(folder.lock) === null) {
      run = randomUUID();
      supervisor = await startSupervisor(folder, run, this.config());
    } else {
      follower.skip();
      say('it is running already');
    }
    const isThere = (): boolean =>
      supervisor === null ? lockHolder(folder.lock) !== null : isAlive(supervisor.ref);
    let heardAt = performance.now();
    let savedAt = 0;
    for (;;) {
      const state = follower.poll(run);
      if (state !== undefined && state.savedAt !== savedAt) {
        ({ savedAt } = state);
        heardAt = performance.now();
      }
      if (signal.aborted) return this.describe(folder, state);
      if (state?.phase === 'ready') return this.untilAllReady(folder, state, say, signal);
      if (state?.phase === 'failed') {
        const { code, message } = state.problem ?? { code: 'LOCAL_START_FAILED', message: 'It failed.' };
        throw new SluiceError(code, message);
      }
      if (!isThere() && follower.poll(run)?.phase !== 'failed')
        throw await supervisorEnded(folder, supervisor);
      if (performance.now() - heardAt > this.silentMs) throw supervisorSilent(folder, this.silentMs);
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * The supervisor has started everything; since then something may have ended, or waits for something.
   * @throws SluiceError SYSTEM_UNREACHABLE naming what is not ready, when it does not become so in time
   */
  private async untilAllReady(
    folder: LocalFolder,
    state: SystemState,
    say: Say,
    signal: AbortSignal,
  ): Promise<LocalState> {
    const deadline = performance.now() + this.config().readyTimeoutMs;
    let said = '';
    for (;;) {
      const { processes, isReady } = await this.status();
      if (isReady || signal.aborted) return this.describe(folder, state);
      const missing = processes.filter((each) => each.state !== 'ready');
      const text = missing.map(troubleText).join('; ');
      const isHopeless = missing.some((each) => HOPELESS.includes(each.state));
      if (isHopeless || performance.now() > deadline) {
        throw new SluiceError('SYSTEM_UNREACHABLE', `The system runs without a part of it: ${text}.`);
      }
      if (text !== said) say(`waiting: ${text}`);
      said = text;
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private describe(folder: LocalFolder, state: SystemState | undefined): LocalState {
    const urlOf = (name: string): string => `http://127.0.0.1:${state?.ports[name] ?? 0}`;
    const named = (name: string): string => {
      const service = servicesOf(this.config(), checkoutFolder()).find((spec) => spec.name === name);
      return service === undefined ? name : (instanceNames(service)[0] ?? name);
    };
    return {
      ingestorUrl: urlOf(named('ingestor')),
      trackerUrl: urlOf(named('tracker')),
      databaseUrl: state?.databaseUrl ?? '',
      kafkaBrokers: state?.kafkaBrokers ?? '',
      startedKafka: state?.planned.includes('kafka') ?? false,
      tokenFile: folder.token,
      builds: [...new Set((state?.processes ?? []).map(({ build }) => build))].filter((id) => id !== null),
    };
  }

  /** @throws SluiceError LOCAL_START_FAILED when the stopping system does not end in the time that it has */
  private async untilUnlocked(folder: LocalFolder, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + this.stopMs();
    while (lockHolder(folder.lock) !== null && !signal.aborted) {
      if (performance.now() > deadline) {
        throw new SluiceError(
          'LOCAL_START_FAILED',
          'The system before has not stopped in time: end it by `sluice down`, then try again.',
        );
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Drains the services, then ends the servers; each within its own time, so this one is only a last resort. */
  private stopMs(): number {
    return this.config().drainTimeoutMs + 120_000;
  }

  /**
   * The settings, without the addresses of servers that Sluice starts: a shell in which `eval "$(sluice env)"` was run
   * names those of the previous system.
   */
  private config(): LocalConfig {
    const config = loadSettings(LocalConfig);
    const ports = readState(this.folder().state)?.ports ?? {};
    const { kafka, postgres } = ports;
    if (kafka !== undefined && config.kafkaBrokers === `127.0.0.1:${kafka}`) delete config.kafkaBrokers;
    if (
      postgres !== undefined &&
      config.databaseUrl !== undefined &&
      isOwnDatabase(config.databaseUrl, postgres)
    )
      delete config.databaseUrl;
    return config;
  }

  private folder(): LocalFolder {
    const { folder } = loadSettings(LocalConfig);
    return folder === undefined ? LocalFolder.ofCheckout() : new LocalFolder(resolve(folder));
  }
}

/** Passes on what the supervisor says, line by line, each once. */
class Follower {
  private seen = 0;
  private run: string | null = null;

  constructor(
    private readonly folder: LocalFolder,
    private readonly say: Say,
  ) {}

  /** What was said up to now stays unsaid. */
  skip(): void {
    const state = readState(this.folder.state);
    if (state !== undefined) this.seen = state.dropped + state.said.length;
  }

  /** @returns the state, undefined while there is none of the wanted run */
  poll(run: string | null = this.run): SystemState | undefined {
    this.run = run;
    const state = readState(this.folder.state);
    if (state === undefined || (run !== null && state.run !== run)) return undefined;
    for (const line of state.said.slice(Math.max(0, this.seen - state.dropped))) this.say(line);
    this.seen = state.dropped + state.said.length;
    return state;
  }
}

function isOwnDatabase(url: string, port: number): boolean {
  const { hostname, port: given, username } = new URL(url);
  return hostname === '127.0.0.1' && given === String(port) && username === 'sluice';
}

function startSupervisor(folder: LocalFolder, run: string, config: LocalConfig): Promise<StartedProcess> {
  return startProcess({
    name: 'supervisor',
    command: process.execPath,
    args: [resolve(import.meta.dirname, 'supervisor.main.js'), run, folder.path],
    cwd: checkoutFolder(),
    env: childEnvironment({
      ...(config.kafkaBrokers === undefined
        ? { KAFKA_BROKERS: undefined, KAFKA_BROKERS_FILE: undefined }
        : {}),
      ...(config.databaseUrl === undefined ? { DATABASE_URL: undefined, DATABASE_URL_FILE: undefined } : {}),
    }),
    port: 0,
    logFile: folder.logOf('supervisor'),
    probe: () => Promise.resolve(),
    stopSteps: [],
  });
}

async function supervisorEnded(folder: LocalFolder, supervisor: StartedProcess | null): Promise<SluiceError> {
  const how = supervisor === null ? 'while it was waited for' : endText(await supervisor.ended);
  const message = `The supervisor ended before the system was ready (${how}).`;
  return new SluiceError(
    'LOCAL_START_FAILED',
    withLogTail(message, folder.logOf('supervisor'), supervisor?.logStart ?? 0),
  );
}

function supervisorSilent(folder: LocalFolder, silentMs: number): SluiceError {
  const read = readStateFile(folder.state);
  const why =
    read.found === 'unreadable' ? `${folder.state} cannot be read: ${read.why}` : 'it wrote nothing new';
  return new SluiceError(
    'LOCAL_START_FAILED',
    `The supervisor lives and has said nothing for ${silentMs / 1000} s (${why}): stop it by \`sluice down\`, then start again. Its log is ${folder.logOf('supervisor')}.`,
  );
}

const runs = ({ ref }: ProcessState): boolean => ref !== null && isAlive(ref);

/** States out of which a process does not come by itself. */
const HOPELESS: readonly string[] = ['failed', 'stopped'];

function troubleText({ name, state, problem }: ProcessStatus): string {
  // Its supervisor has not seen it yet, or cannot write it down because the disk is full.
  if (state === 'ended' && problem === null) return `${name} has ended: see \`sluice logs ${name}\``;
  return `${name} is ${state}${problem === null ? '' : ` (${problem})`}`;
}

function notStarted(name: string): ProcessStatus {
  return { name, state: 'not started', problem: null, pid: null, address: null };
}

/** Ready only while it lives, has started everything and can say so. */
function supervisorStatus(holder: ProcessRef | null, read: StateFile): ProcessStatus {
  const facts = { name: 'supervisor', pid: holder?.pid ?? null, address: null };
  if (holder === null) {
    return { ...facts, state: 'ended', problem: '`sluice up` ends the other processes and starts all again' };
  }
  if (read.found === 'state') {
    const { phase, problem } = read.state;
    return { ...facts, state: phase, problem: problem?.message ?? null };
  }
  const why =
    read.found === 'none' ? 'its state file is missing' : `its state file cannot be read: ${read.why}`;
  return { ...facts, state: 'unknown', problem: `${why}; it is written again within seconds` };
}

async function statusOf(process: ProcessState): Promise<ProcessStatus> {
  const { name, ref, port, phase } = process;
  const isServer = name === 'kafka' || name === 'postgres';
  const address = isServer ? `127.0.0.1:${port}` : `http://127.0.0.1:${port}`;
  let state: string = phase;
  let { problem } = process;
  if (ref === null || !isAlive(ref)) {
    state = phase === 'starting' || phase === 'ready' ? 'ended' : phase;
  } else if (!isServer && phase === 'ready') {
    problem = await expectHealthy(`${address}/health/ready`, 2_000).then(
      () => null,
      (error: unknown) => messageOf(error),
    );
    if (problem !== null) state = 'not ready';
  }
  const pid = state === 'ended' ? null : (ref?.pid ?? null);
  return { name, state, problem: state === 'ready' ? null : problem, pid, address };
}
