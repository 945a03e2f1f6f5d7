import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type ProcessRef, endProcess, isAlive, refOf } from './process-identity.js';
import type { ProcessPlan, SystemUser } from './process-plan.js';

export interface StartedProcess {
  readonly plan: ProcessPlan;
  readonly ref: ProcessRef;
  /** Settles when the process is gone. */
  readonly ended: Promise<ProcessEnd>;
  /** Length of its log, in bytes, when it was started: what stands before is an earlier start's. */
  readonly logStart: number;
}

/** How a process ended: by itself with a code, by a signal, or without ever starting. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly problem?: string;
}

/** As a phrase for a message. */
export function endText({ code, signal, problem }: ProcessEnd): string {
  return problem ?? (signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`);
}

/**
 * Starts a process in a session of its own, so that Ctrl-C reaches only the supervisor and the order of ending
 * is ours. Its output goes straight to the log file (opened for append, so the log can be cut while it is
 * written), not through a pipe: a supervisor that is killed does not take its children with it half-way.
 *
 * @throws SluiceError LOCAL_START_FAILED when the system refuses to start it
 */
export async function startProcess(plan: ProcessPlan): Promise<StartedProcess> {
  mkdirSync(dirname(plan.logFile), { recursive: true });
  const logStart = sizeOf(plan.logFile);
  const log = openSync(plan.logFile, 'a', 0o600);
  try {
    const child = spawn(plan.command, plan.args, {
      cwd: plan.cwd,
      env: plan.env,
      ...asUser(plan.user),
      detached: true,
      stdio: ['ignore', log, log],
    });
    const ended = endOf(child);
    const problem = await new Promise<Error | null>((resolve) => {
      child.once('spawn', () => {
        resolve(null);
      });
      child.once('error', resolve);
    });
    child.unref();
    const ref = child.pid === undefined ? null : refOf(child.pid);
    if (ref === null) {
      throw new SluiceError(
        'LOCAL_START_FAILED',
        `${plan.name} could not be started (${problem === null ? endText(await ended) : problem.message}). Its log is ${plan.logFile}.`,
        { file: plan.logFile },
      );
    }
    return { plan, ref, ended, logStart };
  } finally {
    closeSync(log);
  }
}

/**
 * Waits until the process lives and answers as its plan demands; `onWait` hears why it is not ready yet.
 * @throws the signal's reason when it is aborted; SluiceError LOCAL_START_FAILED when it ends or `timeoutMs` passes first, with the end of its log
 */
export async function waitUntilReady(
  started: StartedProcess,
  timeoutMs: number,
  signal?: AbortSignal,
  onWait: (reason: string) => void = () => undefined,
): Promise<void> {
  const { plan, ref, logStart } = started;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let reason = 'it ended';
    try {
      await plan.probe(ref);
      if (isAlive(ref)) return;
    } catch (error) {
      reason = messageOf(error);
    }
    signal?.throwIfAborted();
    onWait(reason);
    if (!isAlive(ref))
      throw notReady(plan, logStart, `ended before it was ready (${endText(await started.ended)})`);
    if (Date.now() > deadline)
      throw notReady(plan, logStart, `was not ready after ${timeoutMs / 1000} s (${reason})`);
    await sleep(50);
  }
}

/** Ends it as its plan says. */
export async function stopProcess(plan: Pick<ProcessPlan, 'stopSteps'>, ref: ProcessRef): Promise<void> {
  await endProcess(ref, plan.stopSteps);
}

function notReady(plan: ProcessPlan, logStart: number, what: string): SluiceError {
  const message = withLogTail(`${plan.name} ${what}.`, plan.logFile, logStart);
  return new SluiceError('LOCAL_START_FAILED', message, { file: plan.logFile });
}

/** A message and, below it, what the process has said last since its log had `logStart` bytes. */
export function withLogTail(message: string, logFile: string, logStart: number): string {
  const tail = tailOf(logFile, 2_000, logStart).trimEnd();
  return `${message} The end of ${logFile}:\n${tail === '' ? '(empty)' : tail}`;
}

/** The last lines of a file behind byte `from`, at most `maxBytes` of them; empty when there is no file. */
export function tailOf(file: string, maxBytes: number, from = 0): string {
  if (!existsSync(file)) return '';
  const size = statSync(file).size;
  // A file that is shorter than it was has been cut since (log-file.ts): all of it is newer.
  const begin = from > size ? 0 : from;
  const start = Math.max(begin, size - maxBytes);
  const buffer = Buffer.alloc(size - start);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, buffer, 0, buffer.length, start);
  } finally {
    closeSync(descriptor);
  }
  const text = buffer.toString('utf8');
  return start === begin ? text : text.slice(text.indexOf('\n') + 1);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function asUser(user: SystemUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
    child.once('error', (error) => {
      resolve({ code: null, signal: null, problem: error.message });
    });
  });
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end and keeps what it says.
 * @throws the system's error when it cannot be started at all (ENOENT, EACCES)
 */
export function runToEnd(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; user?: SystemUser; signal?: AbortSignal } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const { user, ...rest } = options;
    const child = spawn(command, args, { ...rest, ...asUser(user), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}
