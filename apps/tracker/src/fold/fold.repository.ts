import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { PG_POOL } from '#common/providers/tokens.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { MAX_KEPT_MEMBERS } from '#core/record/member-names.js';
import { type CountChange, addToGroups, settleGroups } from '#core/repair/dead-letter-sums.js';
import type { JobBatch } from '../rows/job-batch.entity.js';
import {
  type JobFact,
  type StageSums,
  batchEventId,
  countDeadLetters,
  eachOnce,
  foldByStage,
  spanEvents,
  sumBatches,
} from './fold-stages.js';
import { clearReadModel } from './clear-read-model.js';
import { DatasetGroups } from './dataset-groups.js';
import { columnsOf, foldInTransaction } from './fold-transaction.js';
import { lookUpJobs } from './folded-jobs.js';
import { type StorableDeadLetter, storableDeadLetter } from './storable-dead-letter.js';

/**
 * Keeps the folds in PostgreSQL (G7): one transaction a delivery, one statement a table.
 *
 * - FR1: facts are inserted by their natural id; only what was really inserted is added to the stage sums, in the
 *   same transaction. A fact that comes again changes nothing but a batch's time, to the earlier one.
 * - FR2: rows are written in key order, facts before sums, so concurrent deliveries wait but never deadlock.
 * - FR4: events of an attempt that the job has discarded, or never began, are not folded.
 * - FR3: a database that is unavailable is a retryable error; the whole delivery comes again.
 */
@Injectable()
export class FoldRepository {
  constructor(
    @Inject(PG_POOL) private readonly pool: pg.Pool,
    private readonly groups: DatasetGroups,
  ) {}

  /**
   * Folds one delivery of the status topic.
   * @returns the batch events that were new
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async foldEvents(events: readonly JobFact[]): Promise<BatchEvent[]> {
    if (events.length === 0) return [];
    return foldInTransaction(this.pool, async (client) => {
      const jobs = await lookUpJobs(client, events);
      const kept = events.filter((event) => !jobs.isPruned(event));
      const batchEvents = kept.filter((event) => event.type === 'batch').filter((event) => jobs.has(event));
      const inserted = await insertBatches(client, batchEvents);
      const newEvents = eachOnce(batchEvents, inserted);
      await addToStages(
        client,
        foldByStage([...sumBatches(newEvents), ...spanEvents(spanning(kept, batchEvents))]),
      );
      return newEvents;
    });
  }

  /**
   * Puts one delivery of dead letters into the index.
   * @returns the dead letters that were new
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async indexDeadLetters(letters: readonly DeadLetter[]): Promise<StorableDeadLetter[]> {
    if (letters.length === 0) return [];
    return foldInTransaction(this.pool, async (client) => {
      const jobs = await lookUpJobs(client, letters);
      const current = letters.filter((letter) => jobs.has(letter));
      if (current.length === 0) return [];
      const columns = await jobs.columnsOf(client, current);
      const storable = inKeyOrder(
        current.map((letter) => storableDeadLetter(letter, letter.columns ?? columns.get(letter.job))),
      );
      const groups = await this.groupsOf(client, storable);
      await insertColumns(client, storable);
      const inserted = await insertDeadLetters(client, storable, groups);
      const newLetters = inserted.flatMap((place) => storable[place] ?? []);
      await addToStages(client, countDeadLetters(newLetters.filter((letter) => !jobs.isPruned(letter))));
      await addToGroups(client, countByGroup(inserted.flatMap((place) => groups[place] ?? [])));
      return newLetters;
    });
  }

  /**
   * Takes in batches whose announcements may be lost. Their times say nothing about how long a stage took, so they
   * leave those alone (FS2): with the announcements folded as well, before or after, the sums are the same.
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async foldFacts(facts: readonly BatchEvent[]): Promise<void> {
    await foldInTransaction(this.pool, async (client) => {
      await addToStages(client, sumBatches(eachOnce(facts, await insertBatches(client, facts))));
    });
  }

  /** The id of the group that counts each of them; groups that are new are made. */
  private async groupsOf(client: pg.PoolClient, letters: readonly StorableDeadLetter[]): Promise<string[]> {
    const groups = letters.map((letter) => this.groups.groupOf(letter));
    const settled = await settleGroups(client, groups, (group) => this.groups.othersOf(group));
    return groups.map(({ id }) => settled.get(id) ?? id);
  }

  /**
   * Empties the read model; with the group's offsets reset it is made again from the topics. What was decided about
   * dead letters is in no topic, so the decided ones stay (`clear-read-model.ts`).
   * @param whileEmpty runs before the commit, while every fold waits; what it throws undoes everything
   */
  async clear(whileEmpty: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await foldInTransaction(this.pool, async (client) => {
      await clearReadModel(client);
      await whileEmpty();
    });
  }
}

function countByGroup(groups: readonly string[]): CountChange[] {
  const counts = new Map<string, number>();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  return [...counts].map(([group, count]) => ({ group, from: null, to: 'open', count }));
}

/** Every event but those of batches that are not folded (FR4). */
function spanning(events: readonly JobFact[], folded: readonly BatchEvent[]): JobFact[] {
  const known = new Set<JobFact>(folded);
  return events.filter((event) => event.type === 'job' || known.has(event));
}

/** @returns the ids that were inserted (FR1); a row that was there before has an `xmax` by then */
async function insertBatches(client: pg.PoolClient, events: readonly BatchEvent[]): Promise<Set<string>> {
  if (events.length === 0) return new Set();
  const { rows } = await client.query<Pick<JobBatch, 'job' | 'stage'> & { batch: string; is_new: boolean }>(
    `INSERT INTO sluice.job_batch AS known (job, batch, stage, records, bytes, accepted, refused, skipped, warnings, at)
     SELECT DISTINCT ON (job, batch, stage) * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                          $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[])
              AS event (job, batch, stage, records, bytes, accepted, refused, skipped, warnings, at)
     ORDER BY job, batch, stage, at
     ON CONFLICT (job, batch, stage) DO UPDATE SET at = excluded.at WHERE excluded.at < known.at
     RETURNING job, batch, stage, xmax = 0 AS is_new`,
    columnsOf(events, [
      ({ job }) => job,
      ({ batch }) => batch,
      ({ stage }) => stage,
      ({ records }) => records,
      ({ bytes }) => bytes,
      ({ accepted }) => accepted,
      ({ refused }) => refused,
      ({ skipped }) => skipped,
      ({ warnings }) => warnings,
      ({ at }) => new Date(at).toISOString(),
    ]),
  );
  return new Set(
    rows
      .filter(({ is_new }) => is_new)
      .map(({ job, batch, stage }) => batchEventId({ job, batch: Number(batch), stage })),
  );
}

/** Lists of column names that are not there yet; most deliveries bring none. */
async function insertColumns(client: pg.PoolClient, letters: readonly StorableDeadLetter[]): Promise<void> {
  const byId = new Map(letters.map(({ columnsId, columns }) => [columnsId, columns]));
  const lists = [...byId].sort(([a], [b]) => (a < b ? -1 : 1));
  await client.query(
    `INSERT INTO sluice.letter_columns (id, names)
     SELECT id, ARRAY(SELECT jsonb_array_elements_text(names))
       FROM unnest($1::uuid[], $2::jsonb[]) AS list (id, names)
     ON CONFLICT DO NOTHING`,
    columnsOf(lists, [([id]) => id, ([, names]) => JSON.stringify(names)]),
  );
}

/**
 * @param letters dead letters in key order
 * @param groups of each, its group's id
 * @returns the places in both lists of those that were inserted (FR1)
 */
async function insertDeadLetters(
  client: pg.PoolClient,
  letters: readonly StorableDeadLetter[],
  groups: readonly string[],
): Promise<number[]> {
  // Codes, which hold no blanks, travel as one text: unnest would flatten an array of arrays. Nearly always every dead
  // letter is new, and then the statement does not look for which ones were.
  const { rows } = await client.query<{ place: number | null }>(
    `WITH letter AS (
       SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                            $7::bigint[], $8::text[], $9::text[], $10::jsonb[], $11::text[], $12::bigint[],
                            $13::uuid[], $14::jsonb[], $15::bytea[], $16::uuid[], $17::bigint[], $18::uuid[]) WITH ORDINALITY
           AS letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings, sqlstate,
                      attempt, columns_id, message, bytes, predecessor_job, predecessor_record, group_id, place)
     ), inserted AS (
       INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes,
                                       findings, sqlstate, attempt, columns_id, message, bytes,
                                       predecessor_job, predecessor_record, group_id)
       SELECT job, record, dataset, batch, line, byte_start, byte_end, stage,
              string_to_array(codes, ' '), findings, sqlstate, attempt,
              columns_id, message, bytes, predecessor_job, predecessor_record, group_id
         FROM letter ORDER BY place
       ON CONFLICT DO NOTHING
       RETURNING job, record
     )
     SELECT NULL AS place WHERE (SELECT count(*) FROM inserted) = cardinality($1)
     UNION ALL
     SELECT (min(place) - 1)::integer FROM letter JOIN inserted USING (job, record)
      WHERE (SELECT count(*) FROM inserted) < cardinality($1) GROUP BY job, record`,
    [
      ...columnsOf(letters, [
        ({ job }) => job,
        ({ record }) => record,
        ({ dataset }) => dataset,
        ({ batch }) => batch,
        ({ line }) => line,
        ({ byteStart }) => byteStart,
        ({ byteEnd }) => byteEnd,
        ({ stage }) => stage,
        ({ codes }) => codes.join(' '),
        ({ findings }) => JSON.stringify(findings),
        ({ sqlstate }) => sqlstate,
        ({ attempt }) => attempt,
        (letter) => letter.columnsId,
        ({ message }) => (message === undefined ? null : JSON.stringify(message)),
        ({ bytes }) => bytes,
        ({ predecessor }) => predecessor?.job ?? null,
        ({ predecessor }) => predecessor?.record ?? null,
      ]),
      groups,
    ],
  );
  return rows.flatMap(({ place }) => (place === null ? [...letters.keys()] : [place]));
}

async function addToStages(client: pg.PoolClient, sums: readonly StageSums[]): Promise<void> {
  if (sums.length === 0) return;
  await client.query(
    `INSERT INTO sluice.job_stage AS stage (job, stage, batches, records, bytes, accepted, refused, skipped, warnings,
                                            dead_letters, findings, unknown_members, first_at, last_at, step,
                                            step_at)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                          $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::jsonb[], $12::jsonb[],
                          $13::timestamptz[], $14::timestamptz[], $15::text[], $16::timestamptz[])
     ON CONFLICT (job, stage) DO UPDATE SET
       batches = stage.batches + excluded.batches,
       records = stage.records + excluded.records,
       bytes = stage.bytes + excluded.bytes,
       accepted = stage.accepted + excluded.accepted,
       refused = stage.refused + excluded.refused,
       skipped = stage.skipped + excluded.skipped,
       warnings = stage.warnings + excluded.warnings,
       dead_letters = stage.dead_letters + excluded.dead_letters,
       findings = (
         SELECT coalesce(jsonb_object_agg(code, count), '{}')
           FROM (SELECT code, sum(count::bigint) AS count
                   FROM (SELECT * FROM jsonb_each_text(stage.findings)
                         UNION ALL SELECT * FROM jsonb_each_text(excluded.findings)) AS both_ (code, count)
                  GROUP BY code) AS summed),
       unknown_members = (
         SELECT coalesce(jsonb_object_agg(name, count), '{}')
           FROM (SELECT name, sum(count::bigint) AS count
                   FROM (SELECT * FROM jsonb_each_text(stage.unknown_members)
                         UNION ALL SELECT * FROM jsonb_each_text(excluded.unknown_members)) AS both_ (name, count)
                  GROUP BY name ORDER BY 2 DESC, name COLLATE "C" LIMIT ${MAX_KEPT_MEMBERS}) AS summed),
       first_at = least(stage.first_at, excluded.first_at),
       last_at = greatest(stage.last_at, excluded.last_at),
       (step, step_at) = (
         SELECT step, step_at
           FROM (VALUES (stage.step, stage.step_at), (excluded.step, excluded.step_at)) AS steps (step, step_at)
          ORDER BY step_at DESC NULLS LAST, step COLLATE "C" DESC
          LIMIT 1)`,
    columnsOf(sums, [
      ({ job }) => job,
      ({ stage }) => stage,
      ({ batches }) => batches,
      ({ records }) => records,
      ({ bytes }) => bytes,
      ({ accepted }) => accepted,
      ({ refused }) => refused,
      ({ skipped }) => skipped,
      ({ warnings }) => warnings,
      ({ deadLetters }) => deadLetters,
      ({ findings }) => JSON.stringify(findings),
      ({ unknownMembers }) => JSON.stringify(unknownMembers),
      ({ firstAt }) => timeOf(firstAt),
      ({ lastAt }) => timeOf(lastAt),
      ({ step }) => step?.name ?? null,
      ({ step }) => timeOf(step?.at ?? null),
    ]),
  );
}

function inKeyOrder(letters: readonly StorableDeadLetter[]): StorableDeadLetter[] {
  return [...letters].sort((a, b) => (a.job === b.job ? a.record - b.record : a.job < b.job ? -1 : 1));
}

function timeOf(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
