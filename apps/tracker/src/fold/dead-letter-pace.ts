import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { PG_POOL } from '#common/providers/tokens.js';

/** A smaller delivery held all there was: indexing does not hold up producers that write so slowly. */
export const FULL_DELIVERY_DEAD_LETTERS = 250;
/** After each full delivery of a partition: with four partitions at most some 2,000 dead letters a second are indexed. */
export const SHORTEST_REST_MS = 2_000;
/** N times what the delivery took: on a slow or busy machine dead letters get no larger share. */
export const RESTS_A_DELIVERY = 20;
/** A job's report waits for its dead letters, so a job that ends during a rest waits no longer than this. */
export const LONGEST_REST_MS = 10_000;
/** Older dead letters are indexed at full speed. A minute was too little: jobs with many of them take longer. */
export const LONGEST_DELAY_MS = 300_000;

/**
 * How fast dead letters are indexed: a job's rows come first, and its dead letters are safe in their topic meanwhile.
 *
 * With a fifth of 1.6 million records refused, indexing side by side with loading took a third of the two cores, and
 * rows were visible after 40 s instead of 27 (`npm run bench -- --only refused`). Rests of two seconds were enough there.
 * On a machine three times slower they left dead letters three times the share, and rows were visible 1.7 times as late as
 * without dead letters, instead of 1.5 times.
 *
 * - DP1: full speed when no job is running or finalizing, after the rest that has begun.
 * - DP2: full speed for small deliveries: a job's first dead letters are listed while it runs.
 * - DP3: full speed for dead letters older than five minutes, so an endless stream of jobs cannot hold them up.
 */
@Injectable()
export class DeadLetterPace {
  constructor(@Inject(PG_POOL) private readonly pool: pg.Pool) {}

  /**
   * @param count how many dead letters the delivery brought
   * @param ageMs of the first of them
   * @param tookMs how long indexing it took
   * @returns ms to leave its partition alone
   * @throws what `pg` throws
   */
  async restAfter(count: number, ageMs: number, tookMs: number): Promise<number> {
    if (count < FULL_DELIVERY_DEAD_LETTERS || ageMs > LONGEST_DELAY_MS) return 0;
    const { rowCount } = await this.pool.query(
      `SELECT FROM sluice.job WHERE state IN ('running', 'finalizing') LIMIT 1`,
    );
    if (rowCount === 0) return 0;
    return Math.min(LONGEST_REST_MS, Math.max(SHORTEST_REST_MS, RESTS_A_DELIVERY * tookMs));
  }
}
