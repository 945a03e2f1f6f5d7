import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { SERVICE_EXIT } from '#common/lifecycle/service-exit.js';
import { endProcess } from './process-identity.js';
import type { ProcessPlan } from './process-plan.js';
import { RestartBudget } from './restart-budget.js';
import { type StartedProcess, endText, startProcess, waitUntilReady, withLogTail } from './start-process.js';
import type { ProcessState } from './system-state.js';

const LIVENESS_EVERY_MS = 10_000;
/** Between two tries of a process that keeps ending: a lasting fault costs little, and its end is noticed soon. */
const LONG_WAIT_MS = 15_000;
/** About half a minute of silence: longer than any pause a healthy service makes. */
const MOST_SILENT_PROBES = 3;

/**
 * Keeps one process running.
 *
 * States: starting → ready → (ended) waiting → starting …, until stopped, or failed.
 * - SP1: A process that ends is started again. Before it was ready once, at most as RestartBudget allows, so that a start
 *   that cannot succeed ends; afterwards without an end, since a full disk or a lost server comes back some day. The
 *   wait between two such tries is declared: it is `waiting`, and its problem says so.
 * - SP2: Wrong settings (exit code 78) do not pass by themselves: `failed` at once.
 * - SP3: A process that says that it is not live, or is silent, three times in a row is killed, which leads to SP1.
 * - SP4: Every change of state is announced before anything else happens, so that the state file always knows the pid.
 * - SP5: It is ready only if it lives and was itself what answered: an answer of another program at its port does not count.
 */
export class SupervisedProcess {
  private phase: ProcessState['phase'] = 'starting';
  private current: StartedProcess | null = null;
  private restarts = 0;
  private problem: string | null = null;
  private notReadyBecause = 'no answer';
  /** Whether it has done its work once since this supervisor started it. */
  private wasReady = false;
  private build: string | null = null;
  private logStart = 0;
  /** A lasting wait is logged once. */
  private isLongWait = false;
  private readonly stopping = new AbortController();
  private loop: Promise<void> | null = null;

  constructor(
    readonly plan: ProcessPlan,
    private readonly options: {
      readonly readyTimeoutMs: number;
      readonly logger: Logger;
      readonly onChange: () => void;
      /** Receives what a person who watches wants to know. */
      readonly say: (line: string) => void;
      readonly budget?: RestartBudget;
      readonly livenessEveryMs?: number;
      readonly longWaitMs?: number;
    },
  ) {}

  get state(): ProcessState {
    const { name, port, logFile, stopSteps } = this.plan;
    const { phase, restarts, problem, build } = this;
    return {
      name,
      phase,
      ref: this.current?.ref ?? null,
      port,
      restarts,
      problem,
      build,
      logFile,
      stopSteps,
    };
  }

  /**
   * Starts it, and resolves at its first readiness; from then on it is kept running.
   * @throws SluiceError LOCAL_START_FAILED when it was not ready in time or ended too often before
   */
  async start(): Promise<void> {
    this.loop = this.keepRunning();
    const deadline = Date.now() + this.options.readyTimeoutMs;
    while (this.phase !== 'ready') {
      this.stopping.signal.throwIfAborted();
      const { name, logFile } = this.plan;
      if (this.phase === 'failed') {
        const message = withLogTail(this.problem ?? `${name} failed.`, logFile, this.logStart);
        throw new SluiceError('LOCAL_START_FAILED', message);
      }
      if (Date.now() > deadline) {
        const seconds = this.options.readyTimeoutMs / 1000;
        const message = `${name} was not ready after ${seconds} s (${this.problem ?? this.notReadyBecause}).`;
        throw new SluiceError('LOCAL_START_FAILED', withLogTail(message, logFile, this.logStart));
      }
      await sleep(50);
    }
  }

  /** Ends it as its plan says and does not start it again. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.current !== null) await endProcess(this.current.ref, this.plan.stopSteps);
    await this.loop;
    if (this.phase !== 'failed') this.change('stopped');
  }

  private async keepRunning(): Promise<void> {
    const budget = this.options.budget ?? new RestartBudget();
    const { name, logFile } = this.plan;
    const { logger, say } = this.options;
    while (!this.isStopping()) {
      const how = await this.runOnce();
      this.current = null;
      if (this.isStopping()) return;
      const usualMs = how.mayRecover ? budget.next(Date.now()) : null;
      const delayMs = usualMs ?? (how.mayRecover && this.wasReady ? this.longWaitMs() : null);
      this.problem = `${name} ended (${how.text}); its log is ${logFile}.`;
      if (delayMs === null) {
        if (how.mayRecover) {
          this.problem = `${name} stays down after ${budget.toString()} (last: ${how.text}); its log is ${logFile}.`;
        }
        this.change('failed');
        logger.error({ process: name, how: how.text }, this.problem);
        say(this.problem);
        return;
      }
      this.restarts++;
      if (usualMs === null) {
        const every = `${delayMs / 1000} s`;
        this.problem = `${name} ended again after ${budget.toString()} (last: ${how.text}) and is tried every ${every}; its log is ${logFile}.`;
      }
      this.change('waiting');
      logger.warn({ process: name, how: how.text, delayMs }, 'ended; starting it again');
      if (!this.isLongWait || usualMs !== null)
        say(usualMs === null ? this.problem : `${name} ended (${how.text}); starting it again`);
      this.isLongWait = usualMs === null;
      await sleep(delayMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  /** From start to end. */
  private async runOnce(): Promise<{ text: string; mayRecover: boolean }> {
    let started: StartedProcess;
    try {
      started = await startProcess(this.plan);
    } catch (error) {
      return { text: messageOf(error), mayRecover: true };
    }
    this.current = started;
    this.logStart = started.logStart;
    this.build = this.plan.build?.() ?? null;
    this.change('starting');
    this.options.logger.info({ process: this.plan.name, pid: started.ref.pid }, 'started');
    if (this.isStopping()) await endProcess(started.ref, this.plan.stopSteps);
    const watch = new AbortController();
    const watching = this.watch(started, watch.signal);
    const end = await started.ended;
    watch.abort();
    await watching;
    return { text: endText(end), mayRecover: end.code !== SERVICE_EXIT.wrongSettings };
  }

  /** Reports readiness, then checks liveness (SP3). */
  private async watch(started: StartedProcess, signal: AbortSignal): Promise<void> {
    const { plan } = this;
    try {
      await waitUntilReady(started, Number.POSITIVE_INFINITY, signal, (reason) => {
        this.notReadyBecause = reason;
      });
      this.problem = null;
      this.wasReady = true;
      this.change('ready');
      this.options.logger.info({ process: plan.name }, 'ready');
      for (let silent = 0; silent < MOST_SILENT_PROBES;) {
        await sleep(this.options.livenessEveryMs ?? LIVENESS_EVERY_MS, undefined, { signal });
        silent = (await isLive(plan)) ? 0 : silent + 1;
      }
      this.options.logger.error({ process: plan.name }, 'not live: killing it');
      await endProcess(started.ref, []);
    } catch {
      // It ended, which the caller sees, or this watch was called off.
    }
  }

  private longWaitMs(): number {
    return this.options.longWaitMs ?? LONG_WAIT_MS;
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private change(phase: ProcessState['phase']): void {
    this.phase = phase;
    this.options.onChange();
  }
}

async function isLive(plan: ProcessPlan): Promise<boolean> {
  if (plan.liveness === undefined) return true;
  try {
    await plan.liveness();
    return true;
  } catch {
    return false;
  }
}
