import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ErrorCode } from '#common/errors/error-codes.js';
import { messageOf } from '#common/errors/sluice-error.js';
import type { ProcessRef, StopStep } from './process-identity.js';

/**
 * What the supervisor writes down about the system: for the commands, and for the next supervisor.
 * Written whole and renamed, so a reader never sees half of it; 0600, since it holds the database's password.
 */
export interface SystemState {
  readonly version: 1;
  /** Which start wrote it. */
  readonly run: string;
  /** When it was written, by Date.now(); again every few seconds while the supervisor lives. */
  readonly savedAt: number;
  /** Build of the supervisor, and of the services that it started first. */
  readonly build: string | null;
  /** Names of all processes that belong to it, started or not. */
  readonly planned: readonly string[];
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
  /** Of which build it is; null for what is not part of a build. */
  readonly build: string | null;
  readonly logFile: string;
  readonly stopSteps: readonly StopStep[];
}

const MOST_LINES = 200;

export function emptyState(
  run: string,
  ports: Readonly<Record<string, number>>,
  facts: Partial<Pick<SystemState, 'build' | 'planned'>> = {},
): SystemState {
  return {
    version: 1,
    run,
    savedAt: Date.now(),
    build: facts.build ?? null,
    planned: facts.planned ?? [],
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

/** @returns which processes are of another build than the one the system was started from; null when none is */
export function mixedText(build: string | null, processes: readonly ProcessState[]): string | null {
  const usual = build ?? processes.find((process) => process.build !== null)?.build;
  const others = processes.filter((process) => process.build !== null && process.build !== usual);
  if (others.length === 0) return null;
  const names = others.map((process) => `${process.name} (${process.build ?? ''})`).join(', ');
  return `${names} was started again from another build than the rest of the system (${usual ?? ''}): they may judge by different contracts until \`sluice restart\``;
}

/** What stands in a state file; `unreadable` is not `none`: a system may be running that no command can describe. */
export type StateFile =
  | { readonly found: 'state'; readonly state: SystemState }
  | { readonly found: 'none' }
  | { readonly found: 'unreadable'; readonly why: string };

/** Reads the file, and its copy when the file is missing or broken. */
export function readStateFile(file: string): StateFile {
  const first = readOne(file);
  if (first.found === 'state') return first;
  const second = readOne(copyOf(file));
  return second.found === 'state' || first.found === 'none' ? second : first;
}

/** @returns undefined when there is none that can be read */
export function readState(file: string): SystemState | undefined {
  const read = readStateFile(file);
  return read.found === 'state' ? read.state : undefined;
}

/** The copy first: whatever happens in between, one of the two is whole. */
export function writeState(file: string, state: SystemState): void {
  for (const path of [copyOf(file), file]) {
    const next = `${path}.next`;
    writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    renameSync(next, path);
  }
}

function copyOf(file: string): string {
  return `${file}.copy`;
}

function readOne(file: string): StateFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { found: 'none' } : { found: 'unreadable', why: code ?? messageOf(error) };
  }
  try {
    const value: unknown = JSON.parse(text);
    return isState(value)
      ? { found: 'state', state: { ...MISSING_BEFORE, ...value } }
      : { found: 'unreadable', why: 'it is not the state of this version' };
  } catch {
    return { found: 'unreadable', why: 'it is no JSON' };
  }
}

/** What states written before these fields existed lack. */
const MISSING_BEFORE = { savedAt: 0, build: null, planned: [] };

function isState(value: unknown): value is SystemState {
  if (typeof value !== 'object' || value === null) return false;
  const { version, run, phase, said, processes, ports } = value as Partial<
    Record<keyof SystemState, unknown>
  >;
  return (
    version === 1 &&
    typeof run === 'string' &&
    typeof phase === 'string' &&
    Array.isArray(said) &&
    Array.isArray(processes) &&
    typeof ports === 'object' &&
    ports !== null
  );
}
