import type { ProcessRef, StopStep } from './process-identity.js';

/** How to run one long-lived process of a local system: what to start, when it is ready, how it ends. */
export interface ProcessPlan {
  /** `kafka`, `postgres`, `validator-2`: also the name of its log. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment; our own when left out. */
  readonly env?: NodeJS.ProcessEnv;
  /** Run as this user; only root can. */
  readonly user?: SystemUser;
  /** What it listens on, on 127.0.0.1. */
  readonly port: number;
  readonly logFile: string;
  /**
   * Resolves when the process does its work; rejects with the reason why not yet. An answer at the port is not enough:
   * another checkout's server, or any program, may have taken it before ours listened. So it checks whose answer it is.
   */
  readonly probe: (process: ProcessRef) => Promise<void>;
  /** Rejects when only a new start can help; not asked before the process was ready. */
  readonly liveness?: () => Promise<void>;
  /** Of which build of Sluice a process would be that were started now; left out for what is not part of a build. */
  readonly build?: () => string | null;
  /** From gentle to hard; SIGKILL follows by itself. */
  readonly stopSteps: readonly StopStep[];
}

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}
