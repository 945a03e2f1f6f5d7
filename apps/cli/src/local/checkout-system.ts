import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childEnvironment, loadSettings } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { createLogger } from '#common/telemetry/logger.js';
import type {
  LocalState,
  LocalSystem,
  LogOptions,
  ProcessStatus,
  Requirement,
  Say,
  UpOptions,
} from '../commands/local-system.js';
import { checkMachine, requireMachine } from './doctor.js';
import { LocalFolder, checkoutFolder } from './folders.js';
import { LocalConfig } from './local.config.js';
import { showLogs } from './logs.js';
import { endProcess, isAlive } from './process-identity.js';
import { expectHealthy, instanceNames, servicesOf } from './services.js';
import { type StartedProcess, endText, startProcess, withLogTail } from './start-process.js';
import { Supervisor, endLeftovers, migrateCommand } from './supervisor.js';
import { lockHolder } from './supervisor-lock.js';
import { type ProcessState, type SystemState, readState } from './system-state.js';

const POLL_MS = 100;

/** The real LocalSystem: the one in `.sluice` of this checkout, or in SLUICE_LOCAL_FOLDER. */
export class CheckoutSystem implements LocalSystem {
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
        // Drains the services, then ends the servers; each within its own time, so this one is only a last resort.
        const waitMs = this.config().drainTimeoutMs + 120_000;
        await endProcess(holder, [{ signal: 'SIGTERM', waitMs }]);
      } finally {
        clearInterval(polling);
      }
      follower.poll();
    }
    const left = await endLeftovers(readState(folder.state)?.processes ?? []);
    if (left.length > 0) say(`ended what was left running: ${left.join(', ')}`);
    return holder !== null || left.length > 0;
  }

  async status(): Promise<readonly ProcessStatus[]> {
    const folder = this.folder();
    const state = readState(folder.state);
    const holder = lockHolder(folder.lock);
    const processes = state?.processes ?? [];
    if (holder === null && !processes.some(runs)) return [];
    const supervisor = {
      name: 'supervisor',
      state: holder === null ? 'ended: `up` ends the others and starts anew' : 'ready',
      pid: holder?.pid ?? null,
      address: null,
    };
    return [supervisor, ...(await Promise.all(processes.map(statusOf)))];
  }

  doctor(): Promise<readonly Requirement[]> {
    return checkMachine(this.folder(), this.config());
  }

  logs(options: LogOptions): Promise<void> {
    return showLogs(this.folder(), options);
  }

  private async upInForeground(folder: LocalFolder, { say, signal }: UpOptions): Promise<LocalState> {
    const config = this.config();
    const checkout = checkoutFolder();
    // A terminal that is closed asks for the end like Ctrl-C does, but there is nobody left to talk to.
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
    if (state === undefined) throw new SluiceError('INTERNAL', `${folder.state} is gone.`);
    return this.describe(folder, state);
  }

  private async upInBackground(folder: LocalFolder, { say, signal }: UpOptions): Promise<LocalState> {
    while (lockHolder(folder.lock) !== null && readState(folder.state)?.phase === 'stopping') {
      say('waiting until the system before has stopped');
      await untilUnlocked(folder);
    }
    const follower = new Follower(folder, say);
    let supervisor: StartedProcess | null = null;
    let run: string | null = null;
    if (lockHolder(folder.lock) === null) {
      run = randomUUID();
      supervisor = await startSupervisor(folder, run);
    } else {
      follower.skip();
      say('it is running already');
    }
    for (;;) {
      const state = follower.poll(run);
      if (state?.phase === 'ready') return this.describe(folder, state);
      if (state !== undefined && signal.aborted) return this.describe(folder, state);
      if (state?.phase === 'failed') {
        const { code, message } = state.problem ?? { code: 'LOCAL_START_FAILED', message: 'It failed.' };
        throw new SluiceError(code, message);
      }
      const isThere = supervisor === null ? lockHolder(folder.lock) !== null : isAlive(supervisor.ref);
      if (!isThere && follower.poll(run)?.phase !== 'failed') throw await supervisorEnded(folder, supervisor);
      await sleep(POLL_MS);
    }
  }

  private describe(folder: LocalFolder, state: SystemState): LocalState {
    const urlOf = (name: string): string => `http://127.0.0.1:${state.ports[name] ?? 0}`;
    const named = (name: string): string => {
      const service = servicesOf(this.config(), checkoutFolder()).find((spec) => spec.name === name);
      return service === undefined ? name : (instanceNames(service)[0] ?? name);
    };
    return {
      ingestorUrl: urlOf(named('ingestor')),
      trackerUrl: urlOf(named('tracker')),
      databaseUrl: state.databaseUrl ?? '',
      kafkaBrokers: state.kafkaBrokers ?? '',
      tokenFile: folder.token,
    };
  }

  private config(): LocalConfig {
    return loadSettings(LocalConfig);
  }

  private folder(): LocalFolder {
    const { folder } = this.config();
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

function startSupervisor(folder: LocalFolder, run: string): Promise<StartedProcess> {
  return startProcess({
    name: 'supervisor',
    command: process.execPath,
    args: [resolve(import.meta.dirname, 'supervisor.main.js'), run, folder.path],
    cwd: checkoutFolder(),
    env: childEnvironment(),
    port: 0,
    logFile: folder.logOf('supervisor'),
    probe: () => Promise.resolve(),
    stopSteps: [],
  });
}

async function supervisorEnded(folder: LocalFolder, supervisor: StartedProcess | null): Promise<SluiceError> {
  const how = supervisor === null ? 'while it was waited for' : endText(await supervisor.ended);
  const message = `The supervisor ended before the system was ready (${how}).`;
  return new SluiceError('LOCAL_START_FAILED', withLogTail(message, folder.logOf('supervisor')));
}

async function untilUnlocked(folder: LocalFolder): Promise<void> {
  while (lockHolder(folder.lock) !== null) await sleep(POLL_MS);
}

const runs = ({ ref }: ProcessState): boolean => ref !== null && isAlive(ref);

async function statusOf(process: ProcessState): Promise<ProcessStatus> {
  const { name, ref, port, phase } = process;
  const isServer = name === 'kafka' || name === 'postgres';
  const address = isServer ? `127.0.0.1:${port}` : `http://127.0.0.1:${port}`;
  let state: string = phase;
  if (ref === null || !isAlive(ref)) {
    state = phase === 'starting' || phase === 'ready' ? 'ended' : phase;
  } else if (!isServer && phase === 'ready') {
    state = await expectHealthy(`${address}/health/ready`, 2_000).then(
      () => 'ready',
      () => 'not ready',
    );
  }
  return { name, state, pid: state === 'ended' ? null : (ref?.pid ?? null), address };
}
