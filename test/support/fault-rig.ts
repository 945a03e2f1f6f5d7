import { expect } from '@jest/globals';
import type { JobRequest } from '#api/jobs.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { STATUS_TOPIC, topicOf } from '#core/message/topics.js';
import { eventually } from './eventually.js';
import { expectReport, expectTables, query } from './expect-tables.js';
import { disarmFaultPoints } from './fault-points.js';
import { generatedFile } from './generated-file.js';
import { type HeldSource, startHeldSource } from './held-source.js';
import { KafkaView, type SeenMessage } from './kafka-view.js';
import { type Expectation, expectFile } from './oracle.js';
import { clientOf, jobEnd, leaveStaleConnections } from './run-job.js';
import { type ProcessName, type System, type SystemOptions, startSystem } from './system.js';

export const DATASET = 'tax-registration';
export const RAW = topicOf(DATASET, 'raw');
export const CLEAN = topicOf(DATASET, 'clean');
export const DEAD = topicOf(DATASET, 'dead');

/** What each group reads. */
const READ_BY: Readonly<Record<string, readonly string[]>> = {
  'sluice-validator': [RAW],
  'sluice-loader': [CLEAN],
  'sluice-tracker': [STATUS_TOPIC, DEAD],
};

/** Whatever was killed or stopped is missed after so long: as short as a busy machine allows. */
export const FAULT_ENV: Readonly<Record<string, string>> = {
  SLUICE_BATCH_BYTES: String(32 * 1024),
  SLUICE_SOURCE_IDLE_TIMEOUT_MS: '120000',
  SLUICE_SESSION_TIMEOUT_MS: '3000',
  SLUICE_LEASE_SECONDS: '3',
  SLUICE_FINALIZE_LEASE_SECONDS: '3',
  SLUICE_SWEEP_INTERVAL_MS: '250',
};

/** A source file in memory, and what the oracle says of it. */
export interface FaultFile {
  readonly bytes: Buffer;
  readonly path: string;
  readonly expected: Expectation;
}

/** A job that waits in its middle for the rest of its source. */
export interface HalfJob {
  readonly id: string;
  goOn(): void;
}

/**
 * One system that faults are caused in, the onlooker at its topics, and the one outcome that every fault must have:
 * what the oracle says of an uninterrupted run.
 */
export class FaultRig {
  private readonly sources: HeldSource[] = [];

  private constructor(
    readonly system: System,
    readonly kafka: KafkaView,
  ) {}

  static async start(options: SystemOptions = {}): Promise<FaultRig> {
    const system = await startSystem({ ...options, env: { ...FAULT_ENV, ...options.env } });
    try {
      return new FaultRig(system, await KafkaView.open(system, [RAW, CLEAN, DEAD, STATUS_TOPIC]));
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.closeSources();
    await this.kafka.close();
    await this.system.stop();
  }

  /** 2 % of the rows have a defect, 0.5 % repeat an earlier one unless an option says otherwise. */
  file(options: { rows?: number; seed?: number; repeatShare?: number } = {}): FaultFile {
    const { rows = 4_000, seed = 7, repeatShare = 0.005 } = options;
    const { bytes, path } = generatedFile(this.system, { rows, seed, defectShare: 0.02, repeatShare });
    return { bytes, path, expected: expectFile(bytes) };
  }

  async startJob(request: Partial<JobRequest>): Promise<string> {
    await leaveStaleConnections(this.system.ingestorUrl);
    const { id } = await clientOf(this.system).startJob({ dataset: DATASET, allowShrink: true, ...request });
    return id;
  }

  /**
   * Starts a job and waits until some of the source's first part is loaded; each further one comes with `goOn`.
   * @param shares where the parts end; halves when left out
   */
  async startHalf(
    file: FaultFile,
    request: Partial<JobRequest> = {},
    shares?: readonly number[],
  ): Promise<HalfJob> {
    const source = await startHeldSource(file.bytes, shares);
    this.sources.push(source);
    const id = await this.startJob({ source: source.url, ...request });
    await this.untilLoaded(id, 1);
    return {
      id,
      goOn: () => {
        source.goOn();
      },
    };
  }

  /**
   * A job whose source comes in five parts; during each of the later four `interrupt` is called at a moment that the
   * seed chooses, counted in batches that are loaded. @returns the job, with all of its source given
   */
  async startInterrupted(file: FaultFile, seed: number, interrupt: () => Promise<void>): Promise<string> {
    const random = new SeededRandom(seed);
    const shares = [0.2, 0.4, 0.6, 0.8];
    const job = await this.startHalf(file, {}, shares);
    for (const _ of shares) {
      const loaded = (await this.ledger(job.id)).length;
      job.goOn();
      await this.untilLoaded(job.id, loaded + random.below(4));
      await interrupt();
    }
    return job.id;
  }

  /** After a test, failed or not: everything runs, nothing is armed, no job is active. */
  async mend(): Promise<void> {
    disarmFaultPoints(this.system);
    for (const name of ['kafka', 'postgres']) {
      if (this.system.has(name) && !this.system.isRunning(name)) await this.system.restart(name);
    }
    for (const name of this.system.services) {
      if (this.system.isRunning(name)) this.system.signal(name, 'SIGCONT');
      else await this.system.restart(name);
    }
    await this.closeSources();
    const active = await query<{ id: string }>(
      this.system,
      `SELECT id FROM sluice.job WHERE state NOT IN ('succeeded', 'failed', 'cancelled')`,
    );
    for (const { id } of active) await clientOf(this.system).cancelJob(id);
  }

  private async closeSources(): Promise<void> {
    for (const source of this.sources.splice(0)) await source.close();
  }

  /** Differs for any two contents of the tables. */
  async contents(): Promise<string> {
    const [row] = await query<{ digest: string }>(
      this.system,
      `SELECT md5(string_agg(md5(t::text), '' ORDER BY t.ban)) || coalesce(
         (SELECT md5(string_agg(md5(i::text), '' ORDER BY i.business_id, i."order")) FROM public.business_industry AS i), '')
         AS digest
       FROM public.tax_registration AS t`,
    );
    return row?.digest ?? '';
  }

  /** Batches of the job in the ledger, in order. */
  async ledger(id: string): Promise<number[]> {
    const rows = await query<{ batch: number }>(
      this.system,
      'SELECT batch::int FROM sluice.ledger WHERE job = $1 ORDER BY batch',
      [id],
    );
    return rows.map(({ batch }) => batch);
  }

  async untilLoaded(id: string, batches: number): Promise<void> {
    await eventually(
      async () => (await this.ledger(id)).length >= batches,
      `${batches} batches to be loaded`,
    );
  }

  /** The job has ended, the tables and every sum are the oracle's, nothing is left behind and no process is wedged. */
  async expectOutcome(id: string, { expected }: FaultFile): Promise<void> {
    await expectReport(this.system, await jobEnd(this.system, id), expected);
    await expectTables(this.system, expected);
    await this.expectOffsetsBehindWork(id);
    await this.expectAtRest();
    await this.expectProgress(id, expected);
    // A process that woke up late has done so by now.
    await expectTables(this.system, expected);
    const batches = await this.ledger(id);
    expect(batches).toEqual([...batches.keys()]);
  }

  /**
   * G7: what the tracker made of the events, of which some came twice and none in order. Of a job that has ended
   * batches and records come from its row; the other sums are the events' own.
   */
  private async expectProgress(id: string, { counts }: Expectation): Promise<void> {
    const { stages } = await clientOf(this.system).job(id);
    const batches = (await this.ledger(id)).length;
    const { read, accepted, refusedAtValidate, skipped } = counts;
    expect(stages.filter(({ stage }) => stage !== 'finalize')).toMatchObject([
      { stage: 'ingest', batches, records: read, accepted: read },
      { stage: 'validate', batches, records: read, accepted, refused: refusedAtValidate, skipped },
      { stage: 'load', batches, records: read, accepted },
    ]);
  }

  /**
   * G4: what a group has committed is durable. Every clean message before the loaders' offset is in the ledger, and
   * every raw message before the validators' offset has its clean message.
   */
  async expectOffsetsBehindWork(id: string): Promise<void> {
    const cleanOffsets = await this.committed('sluice-loader', CLEAN);
    const rawOffsets = await this.committed('sluice-validator', RAW);
    const clean = (await this.kafka.messages(CLEAN)).filter((message) => isOfJob(message, id));
    const raw = (await this.kafka.messages(RAW)).filter((message) => isOfJob(message, id));
    const loaded = new Set(await this.ledger(id));
    const before = (offsets: ReadonlyMap<number, number>, messages: readonly SeenMessage[]): number[] =>
      messages
        // A poisoned one may have lost its number.
        .filter(
          ({ partition, offset, headers }) => 'batch' in headers && offset < (offsets.get(partition) ?? 0),
        )
        .map((message) => Number(message.headers['batch']));
    const judged = new Set(clean.map((message) => Number(message.headers['batch'])));
    expect(before(cleanOffsets, clean).filter((batch) => !loaded.has(batch))).toEqual([]);
    expect(before(rawOffsets, raw).filter((batch) => !judged.has(batch))).toEqual([]);
  }

  /** Every service lives, is ready, has read all there is, and no staging table is left. */
  async expectAtRest(): Promise<void> {
    for (const name of this.system.services) {
      await eventually(async () => (await this.problems(name, 'live')).length === 0, `${name} to be live`);
      await eventually(async () => (await this.problems(name, 'ready')).length === 0, `${name} to be ready`);
    }
    for (const [group, topics] of Object.entries(READ_BY)) {
      for (const topic of topics) {
        await eventually(
          async () => (await this.kafka.lagOf(group, topic)) === 0,
          `${group} to have read ${topic}`,
        );
      }
    }
    await eventually(
      async () =>
        (await query(this.system, `SELECT FROM pg_class WHERE relnamespace = 'sluice_staging'::regnamespace`))
          .length === 0,
      'the staging tables to be gone',
    );
  }

  /**
   * What a service says is wrong with it; nothing is fine. A service that does not answer says so. Asked
   * twice: the first question may meet a kept connection that the service has just closed, being idle for 5 s.
   */
  async problems(name: ProcessName, page: 'live' | 'ready', isSecond = false): Promise<readonly string[]> {
    try {
      const answer = await fetch(`${this.system.urlOf(name)}/health/${page}`, {
        signal: AbortSignal.timeout(30_000),
      });
      const { problems } = (await answer.json()) as { problems: string[] };
      return answer.ok ? [] : problems;
    } catch {
      return isSecond ? ['it does not answer'] : this.problems(name, page, true);
    }
  }

  /** Waits until a service says that it waits, for such a reason, and finds it live all the same. */
  async untilWaiting(name: ProcessName, reason: RegExp): Promise<void> {
    await eventually(
      async () => (await this.problems(name, 'ready')).some((problem) => reason.test(problem)),
      `${name} to say that it waits (${reason.source})`,
    );
    expect(await this.problems(name, 'live')).toEqual([]);
  }

  private async committed(group: string, topic: string): Promise<Map<number, number>> {
    const offsets = await this.kafka.offsetsOf(group, topic);
    return new Map(offsets.map(({ partition, committed }) => [partition, committed ?? 0]));
  }
}

export function isOfJob(message: SeenMessage, id: string): boolean {
  return String(message.headers['job']) === id;
}
