import type { Outcome } from './start-process.js';

/** The system of this checkout as the commands need it; `main.ts` gives the real one, a test its own. */
export interface LocalSystem {
  /** What `up` has stored; undefined when nothing of this checkout runs. */
  state(): Promise<LocalState | undefined>;
  /** Starts what is not running yet and waits until all of it is ready. */
  up(options: UpOptions): Promise<LocalState>;
  /** @returns false when there was nothing to stop */
  down(say: Say): Promise<boolean>;
  /** Every process of the system, running or not; none when nothing of it runs. */
  status(): Promise<SystemStatus>;
  /** Everything that `up` needs of this machine. */
  doctor(): Promise<readonly Requirement[]>;
  /**
   * Runs the tracker's rebuild to its end.
   * @param servers changes of the environment: which database and brokers
   */
  rebuild(servers: Readonly<Record<string, string | undefined>>): Promise<Outcome>;
  /** Writes log lines of one service or all; with `follow` until `signal` aborts. */
  logs(options: LogOptions): Promise<void>;
}

/** Takes one line of progress. */
export type Say = (line: string) => void;

export interface LocalState {
  readonly ingestorUrl: string;
  readonly trackerUrl: string;
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
  /** Its own Kafka, which knows no login. */
  readonly startedKafka: boolean;
  readonly tokenFile: string;
  /** Of which build its services are, each build once. */
  readonly builds: readonly string[];
}

export interface UpOptions {
  /** Stays and stops everything when `signal` aborts. */
  readonly foreground: boolean;
  readonly say: Say;
  readonly signal: AbortSignal;
}

export interface SystemStatus {
  readonly processes: readonly ProcessStatus[];
  /** Whether everything that belongs to it does its work. */
  readonly isReady: boolean;
  /** What is not as it should be, a sentence each: a service that is missing, a mixed system, a full disk. */
  readonly troubles: readonly string[];
}

export interface ProcessStatus {
  readonly name: string;
  readonly state: string;
  /** Why it is not ready, as far as it is known. */
  readonly problem: string | null;
  readonly pid: number | null;
  readonly address: string | null;
}

export interface Requirement {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do when it is not met. */
  readonly action: string | null;
}

export interface LogOptions {
  readonly service: string | undefined;
  readonly follow: boolean;
  readonly output: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}
