import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { PG_POOL } from '#common/lifecycle/tokens.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { BatchEvent } from '#core/message/status-event.js';
import { MAX_KEPT_MEMBERS } from '#core/record/member-names.js';
import {
  type JobFact,
  type StageSums,
  batchEventId,
  countLetters,
  eachOnce,
  foldByStage,
  spanEvents,
  sumBatches,
} from './fold-stages.js';
import { columnsOf, foldInTransaction } from './fold-transaction.js';
import { lookUpJobs } from './folded-jobs.js';
import type { JobBatch } from './job-batch.entity.js';
import { type StorableLetter, storableLetter } from './storable-letter.js';

/**
 * Keeps the folds in PostgreSQL (G7): one transaction a delivery, one statement a table.
 *
 * - R1: facts are inserted by their natural id; only what was really inserted is added to the stage sums, in the
 *   same transaction. A fact that comes again changes nothing but a batch's time, to the earlier one.
 * - R2: rows are written in key order, facts before sums, so concurrent deliveries wait but never deadlock.
 * - R4: what a job says of an attempt that it has thrown away, or of one that it never made, is not folded.
 * - R3: a database that is away is a retryable error; the delivery comes again, whole.
 */
@Injectable()
export class FoldRepository {
  constructor(@Inject(PG_POOL) private readonly pool: pg.Pool) {}

  /**
   * Folds one delivery of the status topic.
   * @returns the batch events that were new
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async foldEvents(events: readonly JobFact[]): Promise<BatchEvent[]> {
    if (events.length === 0) return [];
    return foldInTransaction(this.pool, async (client) => {
      const jobs = await lookUpJobs(client, events);
      const batchEvents = events.filter((event) => event.type === 'batch').filter((event) => jobs.has(event));
      const inserted = await insertBatches(client, batchEvents);
      const newEvents = eachOnce(batchEvents, inserted);
      await addToStages(
        client,
        foldByStage([...sumBatches(newEvents), ...spanEvents(spanning(events, batchEvents))]),
      );
      return newEvents;
    });
  }

  /**
   * Puts one delivery of dead letters into the index.
   * @returns the letters that were new
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async indexLetters(letters: readonly DeadLetter[]): Promise<StorableLetter[]> {
    if (letters.length === 0) return [];
    return foldInTransaction(this.pool, async (client) => {
      const jobs = await lookUpJobs(client, letters);
      const current = letters.filter((letter) => jobs.has(letter));
      if (current.length === 0) return [];
      const columns = await jobs.columnsOf(client, current);
      const storable = inKeyOrder(
        current.map((letter) => storableLetter(letter, letter.columns ?? columns.get(letter.job))),
      );
      await insertColumns(client, storable);
      const newLetters = await insertLetters(client, storable);
      await addToStages(client, countLetters(newLetters));
      return newLetters;
    });
  }

  /**
   * Takes in batches whose announcements may be lost. Their times say nothing about how long a stage took, so they
   * leave those alone (F2): with the announcements folded as well, before or after, the sums are the same.
   * @throws SluiceError DATABASE_UNAVAILABLE
   */
  async foldFacts(facts: readonly BatchEvent[]): Promise<void> {
    await foldInTransaction(this.pool, async (client) => {
      await addToStages(client, sumBatches(eachOnce(facts, await insertBatches(client, facts))));
    });
  }

  /** Empties the read model; with the group's offsets reset it is made again from the topics. */
  async clear(): Promise<void> {
    await foldInTransaction(this.pool, (client) =>
      client.query('TRUNCATE sluice.job_batch, sluice.job_stage, sluice.dead_letter, sluice.letter_columns'),
    );
  }
}

/** Every event but those of batches that are not folded (R4). */
function spanning(events: readonly JobFact[], folded: readonly BatchEvent[]): JobFact[] {
  const known = new Set<JobFact>(folded);
  return events.filter((event) => event.type === 'job' || known.has(event));
}

/** @returns the ids that were inserted (R1); a row that was there before has an `xmax` by then */
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
async function insertColumns(client: pg.PoolClient, letters: readonly StorableLetter[]): Promise<void> {
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

/** @param letters in key order @returns those that were inserted (R1) */
async function insertLetters(
  client: pg.PoolClient,
  letters: readonly StorableLetter[],
): Promise<StorableLetter[]> {
  // Codes travel as JSON: unnest would flatten an array of arrays.
  const { rows } = await client.query<{ place: number }>(
    `WITH letter AS (
       SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
                            $7::bigint[], $8::text[], $9::jsonb[], $10::jsonb[], $11::text[], $12::bigint[],
                            $13::uuid[], $14::bytea[]) WITH ORDINALITY
           AS letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings, sqlstate,
                      attempt, columns_id, bytes, place)
     ), inserted AS (
       INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes,
                                       findings, sqlstate, attempt, columns_id, bytes)
       SELECT job, record, dataset, batch, line, byte_start, byte_end, stage,
              ARRAY(SELECT jsonb_array_elements_text(codes)), findings, sqlstate, attempt,
              columns_id, bytes
         FROM letter ORDER BY place
       ON CONFLICT DO NOTHING
       RETURNING job, record
     )
     SELECT (min(place) - 1)::integer AS place FROM letter JOIN inserted USING (job, record) GROUP BY job, record`,
    columnsOf(letters, [
      ({ job }) => job,
      ({ record }) => record,
      ({ dataset }) => dataset,
      ({ batch }) => batch,
      ({ line }) => line,
      ({ byteStart }) => byteStart,
      ({ byteEnd }) => byteEnd,
      ({ stage }) => stage,
      ({ codes }) => JSON.stringify(codes),
      ({ findings }) => JSON.stringify(findings),
      ({ sqlstate }) => sqlstate,
      ({ attempt }) => attempt,
      (letter) => letter.columnsId,
      ({ bytes }) => bytes,
    ]),
  );
  return rows.flatMap(({ place }) => letters[place] ?? []);
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

function inKeyOrder(letters: readonly StorableLetter[]): StorableLetter[] {
  return [...letters].sort((a, b) => (a.job === b.job ? a.record - b.record : a.job < b.job ? -1 : 1));
}

function timeOf(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
