/**
 * What a bench run finds out, and how it is stored: `bench/results/<time>.json`, one file a run of the command.
 * Seconds of a shared machine say little; so every claim is a ratio of two labels measured in turns in one run.
 */
export interface BenchResult {
  readonly version: 1;
  /** When the run began, ISO 8601. */
  readonly at: string;
  readonly commit: string;
  /** The working tree differed from the commit. */
  readonly dirty: boolean;
  readonly machine: Machine;
  /** Of Node, Kafka, PostgreSQL, psql. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the servers and services ran with, by `server.setting`. */
  readonly settings: Readonly<Record<string, string>>;
  readonly cases: readonly CaseResult[];
}

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly platform: string;
}

export interface CaseResult {
  readonly name: string;
  readonly rows: number;
  readonly runs: readonly Run[];
  readonly ratios: readonly RatioResult[];
  /** What the figures alone do not say, a sentence each. */
  readonly notes: readonly string[];
}

/** One measurement. Labels repeat over rounds. */
export interface Run {
  readonly label: string;
  readonly round: number;
  readonly rows: number;
  readonly seconds: number;
  /** Taken in, where MB/s say something. */
  readonly bytes?: number;
  /** Where the seconds went, adding up to `seconds` where a case says so. */
  readonly parts?: Readonly<Record<string, number>>;
  /** By process name (cost.ts): `postgres` is the postmaster with all its children. */
  readonly cpuSeconds?: Readonly<Record<string, number>>;
  /** Peak resident memory of this run by process name (cost.ts); of `postgres` the largest backend's own. */
  readonly peakMb?: Readonly<Record<string, number>>;
  /** Bytes added to the broker's log by topic kind. */
  readonly brokerBytes?: Readonly<Record<string, number>>;
}

/** `of` divided by `to`, paired by round; a smaller one is better. */
export interface RatioResult {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  /** At most this is aimed at; null: printed only. */
  readonly target: number | null;
  readonly min: number;
  readonly median: number;
  readonly max: number;
}
