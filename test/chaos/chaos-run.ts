import { join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { checkoutFolder } from '#local/folders.js';
import { type System, startSystem } from '../support/system.js';
import { ChaosDatabase } from './chaos-database.js';
import { ChaosModel } from './chaos-model.js';
import { type RoundPlan, SERVICES, planRound, planSystem } from './chaos-plan.js';
import { BATCH_BYTES, ChaosRound, type RoundOutcome } from './chaos-round.js';
import { planText } from './chaos-words.js';
import { StreamBeside } from './stream-beside.js';
import { StuckError } from './patience.js';
import { Supervision, problemOf } from './supervision.js';
import { ChaosTopics } from './topics.js';

/** A process that is silent for so long is missed: Kafka members, and holders of leases. */
const SESSION_MS = 3_000;
const LEASE_SECONDS = 3;
/** A job whose batches the broker has lost says so after this. */
const MISSING_AFTER_SECONDS = 6;
/** Longer than both, with time for the others to take over. */
const STALL_MS = 5_000;

export interface ChaosOptions {
  readonly seed: number;
  readonly firstRound: number;
  readonly rounds: number;
  /** Rows of a file at most. */
  readonly maxRows?: number;
  /** A fresh system after N rounds. */
  readonly roundsPerSystem: number;
  /** A producer and a stream run beside every job. */
  readonly hasStream: boolean;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Called for a round that was not as it must be, while its system still runs. */
  readonly onLost?: (system: System, round: number) => void;
}

/** What a whole run showed. */
export interface ChaosReport {
  rounds: number;
  failedRounds: number[];
  rowsChecked: number;
  lost: number;
  doubled: number;
  /** Faults that happened, by kind. */
  readonly injected: Map<string, number>;
}

/** Runs the planned rounds one after the other. @throws what is a fault of this harness, or the signal's reason */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const report: ChaosReport = {
    rounds: 0,
    failedRounds: [],
    rowsChecked: 0,
    lost: 0,
    doubled: 0,
    injected: new Map(),
  };
  const end = options.firstRound + options.rounds;
  let stage: Stage | null = null;
  try {
    for (let round = options.firstRound; round < end; round += 1) {
      options.signal.throwIfAborted();
      stage ??= await Stage.open(options, Math.floor(round / options.roundsPerSystem));
      const isRight = await runRound(stage, planRound(options.seed, round, options.maxRows), options, report);
      const isLast = (round + 1) % options.roundsPerSystem === 0;
      if (isRight && !isLast) continue;
      await stage.close();
      stage = null;
    }
  } finally {
    await stage?.close();
  }
  return report;
}

/** A system, those who watch it, and what its tables must hold. */
class Stage {
  private constructor(
    readonly system: System,
    readonly database: ChaosDatabase,
    readonly topics: ChaosTopics,
    readonly supervision: Supervision,
    readonly stream: StreamBeside,
    readonly model = new ChaosModel(),
  ) {}

  static async open({ seed, say, signal, hasStream }: ChaosOptions, number: number): Promise<Stage> {
    const { partitions } = planSystem(seed, number);
    say(`system ${number}: ${partitions} partitions, 2 ingestors, 2 validators, 2 loaders, 1 tracker`);
    const system = await startSystem({
      partitions,
      ingestors: 2,
      validators: 2,
      loaders: 2,
      ownPostgres: true,
      proxiesKafka: true,
      env: {
        ...(hasStream
          ? { SLUICE_DATASET_PATHS: join(checkoutFolder(), 'dist', 'test', 'fixtures', 'datasets') }
          : {}),
        SLUICE_BATCH_BYTES: String(BATCH_BYTES),
        SLUICE_SESSION_TIMEOUT_MS: String(SESSION_MS),
        SLUICE_LEASE_SECONDS: String(LEASE_SECONDS),
        SLUICE_FINALIZE_LEASE_SECONDS: String(LEASE_SECONDS),
        SLUICE_SWEEP_INTERVAL_MS: '300',
        SLUICE_MISSING_AFTER_SECONDS: String(MISSING_AFTER_SECONDS),
        SLUICE_DRAIN_TIMEOUT_MS: '10000',
        SLUICE_SOURCE_IDLE_TIMEOUT_MS: '600000',
        SLUICE_SOURCE_RETRY_FACTOR_MS: '50',
      },
    });
    const database = new ChaosDatabase(system.databaseUrl);
    const supervision = new Supervision(system, STALL_MS);
    supervision.start();
    const stream = new StreamBeside(system, database, signal, hasStream);
    return new Stage(system, database, new ChaosTopics(system.brokers), supervision, stream);
  }

  async close(): Promise<void> {
    await this.stream.close();
    await this.supervision.stop();
    await this.database.close();
    await this.system.stop();
  }
}

/** @returns whether everything was as it must be */
async function runRound(
  stage: Stage,
  plan: RoundPlan,
  { say, signal, onLost }: ChaosOptions,
  report: ChaosReport,
): Promise<boolean> {
  say(`round ${plan.round}: ${planText(plan)}`);
  const startedAt = performance.now();
  const { system, database, topics, supervision, model, stream } = stage;
  const round = new ChaosRound(plan, { system, database, topics, supervision, model, stream, signal });
  let outcome: RoundOutcome;
  try {
    outcome = await round.run();
  } catch (error) {
    if (!(error instanceof StuckError) && !(error instanceof SluiceError)) throw error;
    outcome = await stuck(stage, round, error);
  }
  const { problems, rowsChecked, lost, doubled, injected, notMet, remarks } = outcome;
  report.rounds += 1;
  report.rowsChecked += rowsChecked;
  report.lost += lost;
  report.doubled += doubled;
  for (const kind of injected) report.injected.set(kind, (report.injected.get(kind) ?? 0) + 1);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const isRight = problems.length === 0;
  say(
    `  ${isRight ? 'ok  ' : 'LOST'} ${seconds} s: ${injected.length} faults, ${rowsChecked.toLocaleString('en')} rows checked, lost ${lost}, doubled ${doubled}` +
      (notMet.length === 0 ? '' : ` (nobody came by: ${notMet.join(', ')})`),
  );
  for (const remark of remarks) say(`  note: ${remark}`);
  for (const problem of problems) say(`  problem: ${problem}`);
  if (isRight) return true;
  report.failedRounds.push(plan.round);
  onLost?.(stage.system, plan.round);
  return false;
}

/** What every process says of itself when nothing moves any more. */
async function stuck(stage: Stage, round: ChaosRound, error: Error): Promise<RoundOutcome> {
  const health = await Promise.all(
    SERVICES.flatMap((name) =>
      ['live', 'ready'].map(async (which) => {
        const problem = await problemOf(`${stage.system.urlOf(name)}/health/${which}`);
        return `${name} ${which}: ${problem ?? 'ok'}`;
      }),
    ),
  );
  const job = await round.now().catch((failure: unknown) => messageOf(failure));
  const problems = [...round.problems, error.message, ...health, `job: ${JSON.stringify(job)}`];
  return {
    problems,
    rowsChecked: 0,
    lost: 0,
    doubled: 0,
    injected: round.happened,
    notMet: [],
    remarks: stage.supervision.remarks.splice(0),
  };
}

/** The closing table, and whether all is well. */
export function reportText(report: ChaosReport): string {
  const kinds = [...report.injected].sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(20, ...kinds.map(([kind]) => kind.length));
  const line = (what: string, value: number): string =>
    `${what.padEnd(width)} ${value.toLocaleString('en').padStart(12)}`;
  const total = kinds.reduce((sum, [, count]) => sum + count, 0);
  return [
    line('faults injected', total),
    ...kinds.map(([kind, count]) => line(`  ${kind}`, count)),
    line('rounds', report.rounds),
    line('rounds not right', report.failedRounds.length),
    line('rows checked', report.rowsChecked),
    line('lost', report.lost),
    line('doubled', report.doubled),
    ...(report.failedRounds.length === 0 ? [] : [`not right: round ${report.failedRounds.join(', ')}`]),
  ].join('\n');
}

export function isAllRight({ failedRounds, lost, doubled }: ChaosReport): boolean {
  return failedRounds.length === 0 && lost === 0 && doubled === 0;
}
