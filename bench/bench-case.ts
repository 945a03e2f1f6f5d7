import type { BenchSystem } from './system/bench-system.js';
import type { CaseResult } from './report/result.js';

/** One question that `npm run bench -- --only <name>` answers. Each file in `cases/` exports one. */
export interface BenchCase {
  readonly name: string;
  /** One line for the list of cases. */
  readonly about: string;
  /** Rows without `--rows`. */
  readonly defaultRows: number;
  run(bench: Bench): Promise<CaseResult>;
}

/** What a case gets. */
export interface Bench {
  readonly rows: number;
  /** How often each measurement is repeated, in turns. */
  readonly rounds: number;
  /** So few rows that figures mean nothing: what is repeated within a round for exact figures alone, is done once. */
  readonly isTrial: boolean;
  /** A scratch folder, removed afterwards; PostgreSQL's user can read what is in it. */
  readonly folder: string;
  /** A running system, made when first asked for and shared by the cases of one run. */
  system(): Promise<BenchSystem>;
  /** A progress line, on standard error. */
  say(line: string): void;
}
