/** The system of this checkout as the commands need it; `main.ts` gives the real one, a test its own. */
export interface LocalSystem {
  /** What `up` wrote down; undefined when nothing of this checkout runs. */
  state(): Promise<LocalState | undefined>;
  /** Starts what is not running yet and waits until all of it is ready. */
  up(options: UpOptions): Promise<LocalState>;
  /** @returns false when there was nothing to stop */
  down(say: Say): Promise<boolean>;
  /** Every process of the system, running or not. */
  status(): Promise<readonly ProcessStatus[]>;
  /** Everything that `up` needs of this machine. */
  doctor(): Promise<readonly Requirement[]>;
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
  readonly tokenFile: string;
}

export interface UpOptions {
  /** Stays and stops everything when `signal` aborts. */
  readonly foreground: boolean;
  readonly say: Say;
  readonly signal: AbortSignal;
}

export interface ProcessStatus {
  readonly name: string;
  readonly state: string;
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
