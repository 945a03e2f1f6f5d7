import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobDetail, JobRequest } from '#api/jobs.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import { isFinal } from '#core/job/job-state.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import type { System } from '../support/system.js';
import type { ChaosDatabase, JobNow } from './chaos-database.js';
import { chaosFile, packed } from './chaos-file.js';
import type { ChaosExpectation, ChaosModel } from './chaos-model.js';
import { type Fault, type Moment, type PointFault, type RoundPlan, SERVICES } from './chaos-plan.js';
import { ChaosSource } from './chaos-source.js';
import { kindText } from './chaos-words.js';
import { FaultDoer } from './fault-doer.js';
import { OffsetAudit } from './offset-audit.js';
import { Operator } from './operator.js';
import { Patience } from './patience.js';
import { ReaderWatch } from './reader-watch.js';
import { type RoundVerdict, judgeLedger, judgeReport, judgeTables } from './round-verdict.js';
import { SecondWriter } from './second-writer.js';
import type { StreamBeside } from './stream-beside.js';
import { type Supervision, problemOf } from './supervision.js';
import type { ChaosTopics } from './topics.js';

export const DATASET = 'tax-registration';
/** SLUICE_BATCH_BYTES of a chaos system: a few dozen batches a file. */
export const BATCH_BYTES = 32 * 1024;
/** A batch ends with the record that brings it to its size. */
const LONGEST_USUAL_BATCH_BYTES = BATCH_BYTES + 500;
/** What the source gives more when faults are about to come, so that they meet work on its way. */
const AHEAD = 0.15;
/** The end comes after the last fault that wants a job which is not over. */
const LAST_HELD_BACK = 0.98;
const NEVER = '00000000-0000-0000-0000-000000000000';

export interface RoundParts {
  readonly system: System;
  readonly database: ChaosDatabase;
  readonly topics: ChaosTopics;
  readonly supervision: Supervision;
  readonly model: ChaosModel;
  /** Runs beside the job, and is judged with it. */
  readonly stream: StreamBeside;
  readonly signal: AbortSignal;
}

export interface RoundOutcome extends RoundVerdict {
  /** Faults that happened, by kind. */
  readonly injected: readonly string[];
  /** Fault points that no process passed. */
  readonly notMet: readonly string[];
  /** Processes that ended by themselves, and the like. */
  readonly remarks: readonly string[];
}

/**
 * One job from its start to its verdict, and its faults on the way.
 *
 * The source gives as many bytes as the next moment needs; when these are loaded, it gives some more and the moment's
 * faults come; and so on until the job is at its end, every process is back and awake, and everything can be compared.
 */
export class ChaosRound {
  readonly operator: Operator;
  readonly audit: OffsetAudit;
  readonly patience: Patience;
  readonly problems: string[] = [];
  /** Jobs before the one that counts, and what was loaded of each when its cancelling was confirmed. */
  readonly cancelled: { readonly job: string; readonly loaded: number }[] = [];
  /** Null for a local file. */
  readonly source: ChaosSource | null;
  /** The one that counts; cancelled ones before it do not. */
  job: string = NEVER;
  /** Faults that happened so far, by kind. */
  readonly happened: string[] = [];
  private readonly writers: SecondWriter[] = [];
  private resumesMissing = false;
  private readonly armed: PointFault[] = [];
  private readonly file: Buffer;
  private readonly content: Buffer;
  private readonly path: string;
  private readonly expected: ChaosExpectation;

  constructor(
    readonly plan: RoundPlan,
    readonly parts: RoundParts,
  ) {
    const { system, database, topics, model, signal } = parts;
    this.file = chaosFile(plan.file);
    this.expected = model.foresee(plan.mode, this.file);
    this.content = packed(this.file, plan.source);
    this.path = join(system.folder, `round-${plan.round}`);
    const isHttp = plan.source.startsWith('http');
    this.source = isHttp ? new ChaosSource(this.content, plan.source === 'http with Range') : null;
    this.operator = new Operator(system, database);
    this.audit = new OffsetAudit(topics, database, DATASET);
    this.patience = new Patience(() => this.progress(), signal);
  }

  /** @throws StuckError; whatever else it throws is a fault of this harness */
  async run(): Promise<RoundOutcome> {
    const { database } = this.parts;
    await this.source?.start();
    if (this.source === null) writeFileSync(this.path, this.content);
    const before = await this.patience.until('the tables', () => database.fingerprint());
    await this.patience.until('the topics', () =>
      this.audit.begin().then(
        () => true,
        () => false,
      ),
    );
    if (this.parts.stream.isOn) this.arm(this.plan.beside);
    await this.parts.stream.begin();
    const readers = new ReaderWatch(database);
    try {
      await this.meetFaults();
      await this.parts.stream.finish();
      await this.settle();
      return await this.judge(before, readers);
    } finally {
      await readers.stop();
      for (const writer of this.writers) await writer.stop();
      await this.source?.close();
      rmSync(this.path, { force: true });
    }
  }

  /** Starts the plan's job, and from now on that one counts. */
  async startJob(): Promise<void> {
    const mode: WriteMode = this.plan.mode;
    const source = this.source?.url ?? this.path;
    const request: JobRequest = { dataset: DATASET, source, mode, allowShrink: true };
    const after = this.job === NEVER ? await this.newestJob() : this.job;
    this.job = await this.patience.until('the job to be taken', () => this.operator.start(request, after));
  }

  now(): Promise<JobNow | null> {
    return this.parts.database.job(this.job);
  }

  /** Until the round is over. */
  writeBeside(seed: number): void {
    this.writers.push(new SecondWriter(this.parts.system.databaseUrl, seed));
  }

  /** Until the round is over. */
  resumeWhenBatchesAreMissing(): void {
    this.resumesMissing = true;
  }

  hasHappened(fault: Fault): void {
    this.happened.push(kindText(fault));
  }

  arm(fault: PointFault): void {
    this.armed.push(fault);
    this.parts.supervision.arm(fault.point, fault.action);
  }

  private async newestJob(): Promise<string> {
    const newest = 'SELECT id FROM sluice.job WHERE stream IS NULL ORDER BY id DESC LIMIT 1';
    const rows = await this.patience.until('the jobs', () =>
      this.parts.database.rowsOrNull<{ id: string }>(newest),
    );
    return rows[0]?.id ?? NEVER;
  }

  private async meetFaults(): Promise<void> {
    const doer = new FaultDoer(this);
    for (const { at, faults } of this.plan.steps) {
      if (at !== 'start' && this.job === NEVER) await this.startJob();
      await this.reach(at);
      if (typeof at === 'object') this.source?.release(Math.min(at.loadedShare + AHEAD, LAST_HELD_BACK));
      for (const fault of faults) await doer.do(fault);
      if (at !== 'start') await this.audit.sample(this.job);
    }
    if (this.job === NEVER) await this.startJob();
    this.source?.release(1);
    await this.patience.until('the job to end', async () => {
      const job = await this.now();
      return job !== null && isFinal(job.state);
    });
  }

  private async reach(at: Moment): Promise<void> {
    if (at === 'start') return;
    if (at === 'finalizing') {
      this.source?.release(1);
      const states = ['finalizing', 'succeeded', 'failed', 'cancelled'];
      await this.patience.until('the job to be finalized', async () => {
        return states.includes((await this.now())?.state ?? '');
      });
      return;
    }
    this.source?.release(at.loadedShare);
    const batches = this.batchesWithin(at.loadedShare);
    await this.patience.until(`${batches} batches to be loaded`, async () => {
      const job = await this.now();
      return job !== null && (job.loaded_batches >= batches || isFinal(job.state));
    });
  }

  /** At least this number is whole when the source has given this share; decompression holds some bytes back. */
  private batchesWithin(share: number): number {
    const heldBack = this.plan.source === 'http, gzip' ? 3 : 1;
    return Math.max(1, Math.floor((this.file.length * share) / LONGEST_USUAL_BATCH_BYTES) - heldBack);
  }

  /** Every process is back, awake and ready, and nothing is left to be announced or cleaned up. */
  private async settle(): Promise<void> {
    const { system, supervision } = this.parts;
    // A job is announced after the last point that it comes by.
    await this.patience.until('the job to be announced', async () => (await this.now())?.announced);
    const points = supervision.disarm();
    for (const fault of this.armed) if (points.includes(fault.point)) this.hasHappened(fault);
    await this.patience.until('stalled processes to wake', () => supervision.isAwake());
    for (const name of SERVICES) {
      const url = `${system.urlOf(name)}/health/ready`;
      await this.patience.until(`${name} to be ready`, async () => (await problemOf(url)) === null);
    }
    await this.patience.until('the job to be cleared away', async () => {
      const job = await this.now();
      if (job === null) return false;
      // One that has failed, which none should, keeps its staging to be resumed.
      return job.state !== 'succeeded' || (job.unannounced_batches === 0 && job.staging_relations === 0);
    });
  }

  private async judge(before: string, readers: ReaderWatch): Promise<RoundOutcome> {
    const { database, supervision, model } = this.parts;
    const report = await this.patience.until('the tracker to know the end', () => this.report());
    const letters = await this.letters();
    const stream = await this.parts.stream.judge();
    const tables = await judgeTables(database, report.state === 'succeeded' ? this.expected : model);
    const after = await this.patience.until('the tables', () => database.fingerprint());
    const problems = [
      ...this.problems,
      ...judgeReport(report, letters, this.expected, this.rawIsLost()),
      ...tables.problems,
      ...stream.problems,
      ...(await judgeLedger(database, this.job)),
      ...(await readers.judge(before, after)),
      ...(await this.audit.judge()),
      ...(await this.judgeCancelled()),
    ];
    if (problems.length === 0) model.accept(this.expected);
    const injected = this.happened;
    const notMet = this.armed.map(kindText).filter((kind) => !injected.includes(kind));
    const rowsChecked = tables.rowsChecked + stream.rowsChecked;
    const sums = { rowsChecked, lost: tables.lost + stream.lost, doubled: tables.doubled + stream.doubled };
    return { ...tables, ...sums, problems, injected, notMet, remarks: supervision.remarks.splice(0) };
  }

  private rawIsLost(): boolean {
    return this.happened.includes(kindText({ kind: 'lose tail', topic: 'raw', share: 0 }));
  }

  /** Its ledger only ever shrinks afterwards. */
  private async judgeCancelled(): Promise<string[]> {
    const problems: string[] = [];
    for (const { job, loaded } of this.cancelled) {
      const now = await this.patience.until('a cancelled job', () => this.parts.database.job(job));
      if (now.state !== 'cancelled') problems.push(`cancelled job ${job} is ${now.state}`);
      if (now.loaded_batches > loaded) problems.push(`cancelled job ${job} went on loading`);
    }
    return problems;
  }

  private client(): SluiceClient {
    return new SluiceClient(this.parts.system);
  }

  private async report(): Promise<JobDetail | null> {
    const job = await this.client()
      .job(this.job)
      .catch(() => null);
    return job !== null && isFinal(job.state) && job.deadLetters.complete ? job : null;
  }

  private async letters(): Promise<Awaited<ReturnType<SluiceClient['deadLetter']>>[]> {
    const letters = [];
    for await (const letter of this.client().deadLetters({ job: this.job })) letters.push(letter);
    return letters;
  }

  /** For {@link Patience}, which asks twice a second: everything that moves while a job gets on. Not its epoch, which rises in a crash loop, too. */
  private async progress(): Promise<string | null> {
    if (this.resumesMissing) await this.operator.resumeMissing(this.job);
    const job = await this.now();
    return job === null ? null : JSON.stringify({ ...job, owner: null });
  }
}
