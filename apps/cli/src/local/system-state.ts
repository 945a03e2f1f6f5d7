import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ErrorCode } from '#common/errors/error-codes.js';
import type { ProcessRef, StopStep } from './process-identity.js';

/**
 * What the supervisor writes down about the system: for the commands, and for the next supervisor.
 * Written whole and renamed, so a reader never sees half of it; 0600, since it holds the database's password.
 */
export interface SystemState {
  readonly version: 1;
  /** Which start wrote it. */
  readonly run: string;
  readonly phase: 'starting' | 'ready' | 'stopping' | 'stopped' | 'failed';
  /** What it has said so far, oldest first; at most MOST_LINES. */
  readonly said: readonly string[];
  /** How many lines were said before the first of `said`. */
  readonly dropped: number;
  /** Why it failed. */
  readonly problem: { readonly code: ErrorCode; readonly message: string } | null;
  /** Remembered over stops, so that addresses stay the same. */
  readonly ports: Readonly<Record<string, number>>;
  readonly kafkaBrokers: string | null;
  readonly databaseUrl: string | null;
  readonly processes: readonly ProcessState[];
}

export interface ProcessState {
  readonly name: string;
  readonly phase: 'starting' | 'ready' | 'waiting' | 'failed' | 'stopped';
  /** Null while it does not run. */
  readonly ref: ProcessRef | null;
  readonly port: number;
  readonly restarts: number;
  /** How it ended last. */
  readonly problem: string | null;
  readonly logFile: string;
  readonly stopSteps: readonly StopStep[];
}

const MOST_LINES = 200;

export function emptyState(run: string, ports: Readonly<Record<string, number>>): SystemState {
  return {
    version: 1,
    run,
    phase: 'starting',
    said: [],
    dropped: 0,
    problem: null,
    ports,
    kafkaBrokers: null,
    databaseUrl: null,
    processes: [],
  };
}

export function withLine(state: SystemState, line: string): SystemState {
  const excess = Math.max(0, state.said.length + 1 - MOST_LINES);
  return { ...state, said: [...state.said, line].slice(excess), dropped: state.dropped + excess };
}

/** @returns undefined when there is none, or one of another version */
export function readState(file: string): SystemState | undefined {
  try {
    const state = JSON.parse(readFileSync(file, 'utf8')) as SystemState;
    return (state.version as number) === 1 ? state : undefined;
  } catch {
    return undefined;
  }
}

export function writeState(file: string, state: SystemState): void {
  const next = `${file}.next`;
  writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file);
}
