import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#common/errors/sluice-error.js';
import { RunFolder } from '#test/support/run-folder.js';
import type { Bench, BenchCase } from './bench-case.js';
import type { Profiling } from './profile/profiling.js';
import type { BenchResult, CaseResult } from './report/result.js';
import { serverSettings, serverVersion } from './report/surroundings.js';
import { BenchSystem } from './system/bench-system.js';

/** Of a case's own rows. */
const TRIAL_SHARE = 0.05;

export interface BenchRunOptions {
  readonly cases: readonly BenchCase[];
  /** Instead of each case's own. */
  readonly rows: number | undefined;
  readonly rounds: number;
  readonly profiling?: Profiling;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Called after each case, with all that is known so far. */
  readonly onCase: (result: BenchResult, newest: CaseResult) => void;
}

export interface BenchOutcome {
  readonly result: BenchResult;
  /** Of the cases that broke off. */
  readonly failures: readonly string[];
}

/**
 * Runs the cases one after the other on one system, which is made when the first of them asks for it.
 *
 * - BR1: a case that fails costs only itself: the next one gets a new system.
 * - BR2: a case that has changed the system's settings restores none of them: the next one gets a new system.
 * - BR3: whatever happens, the system and every scratch file are gone when this returns or throws.
 *
 * @param facts of the result, as far as they are known without a system
 * @throws the signal's reason
 */
export async function runBench(
  facts: Omit<BenchResult, 'cases'>,
  { cases, signal, say, onCase, ...options }: BenchRunOptions,
): Promise<BenchOutcome> {
  const place = new BenchPlace(say, options.profiling);
  const failures: string[] = [];
  let result: BenchResult = { ...facts, cases: [] };
  try {
    for (const bench of cases) {
      signal.throwIfAborted();
      const rows = options.rows ?? bench.defaultRows;
      say(`${bench.name}: ${rows.toLocaleString('en-US')} rows`);
      try {
        const work = bench.run(place.forCase(bench, rows, options.rounds));
        // Rows as asked for, whatever a case makes of them: by these, results can be compared.
        const measured = { ...(await untilAborted(work, signal)), rows };
        result = { ...(await place.describe(result)), cases: [...result.cases, measured] };
        onCase(result, measured);
        await place.afterCase();
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`${bench.name}: ${messageOf(error)}`);
        say(`${bench.name} broke off: ${(error as Error).stack ?? messageOf(error)}`);
        await place.removeSystem(); // BR1
      }
    }
  } finally {
    await place.remove(); // BR3
  }
  return { result, failures };
}

/** The scratch folder, and the system once a case has asked for it. */
class BenchPlace {
  private readonly folder = new RunFolder('bench');
  private system: Promise<BenchSystem> | undefined;

  constructor(
    private readonly say: (line: string) => void,
    private readonly profiling: Profiling | undefined,
  ) {}

  forCase({ name, defaultRows }: BenchCase, rows: number, rounds: number): Bench {
    const folder = join(this.folder.path, name);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    return {
      ...{ rows, rounds, folder, isTrial: rows <= defaultRows * TRIAL_SHARE },
      ...{ system: () => (this.system ??= this.start()), say: this.say },
    };
  }

  /** Adds what only a running system knows. */
  async describe(result: BenchResult): Promise<BenchResult> {
    const system = await this.system;
    if (system === undefined) return result;
    const { database, brokerProperties } = system;
    const settings = { ...(await serverSettings(database, brokerProperties)), ...result.settings };
    return {
      ...result,
      settings,
      versions: { ...result.versions, PostgreSQL: await serverVersion(database) },
    };
  }

  /** BR2 */
  async afterCase(): Promise<void> {
    if ((await this.system)?.isChanged === true) await this.removeSystem();
  }

  async removeSystem(): Promise<void> {
    const system = await this.system?.catch(() => undefined);
    this.system = undefined;
    await system?.remove();
  }

  async remove(): Promise<void> {
    await this.removeSystem();
    await this.folder.remove();
  }

  private async start(): Promise<BenchSystem> {
    const system = new BenchSystem(this.folder, this.say, this.profiling);
    try {
      await system.up();
      return system;
    } catch (error) {
      await system.remove();
      throw error;
    }
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
  return Promise.race([work, aborted]);
}
