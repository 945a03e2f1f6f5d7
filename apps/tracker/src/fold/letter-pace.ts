import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { PG_POOL } from '#common/lifecycle/tokens.js';

/** Fewer were all there was: whoever writes so few at a time is not held up by their indexing. */
export const FULL_DELIVERY_LETTERS = 250;
/** After each full delivery of a partition: with four partitions at most some 2,000 letters a second are indexed. */
export const SHORTEST_REST_MS = 2_000;
/** So many times what the delivery took: a slow or busy machine gives letters no larger share of itself. */
export const RESTS_A_DELIVERY = 20;
/** When the job ends meanwhile, its report waits for the letters. */
export const LONGEST_REST_MS = 10_000;
/** Older letters are indexed as fast as it goes. A minute was too little: jobs with many letters take longer. */
export const LONGEST_DELAY_MS = 300_000;

/**
 * How fast dead letters are indexed: a job's rows come first, its letters are safe in their topic meanwhile.
 *
 * With a fifth of 1.6 million records refused, indexing side by side with loading took a third of the two cores, and
 * rows were visible after 40 s instead of 27 (`npm run bench -- --only refused`). Rests of two seconds were enough there;
 * where everything takes three times as long they left letters three times the share, and the rows came 1.7 times as late
 * as without letters, not 1.5 times.
 *
 * - LP1: full speed when no job is running or finalizing, once the rest is over that had begun.
 * - LP2: full speed for what comes in small numbers: the first letters of a job are there while it runs.
 * - LP3: full speed for letters older than five minutes, so a stream of jobs without end cannot keep them out.
 */
@Injectable()
export class LetterPace {
  constructor(@Inject(PG_POOL) private readonly pool: pg.Pool) {}

  /**
   * @param letters how many the delivery brought
   * @param ageMs of its first letter
   * @param tookMs what indexing it took
   * @returns ms to leave its partition alone
   * @throws what `pg` throws
   */
  async restAfter(letters: number, ageMs: number, tookMs: number): Promise<number> {
    if (letters < FULL_DELIVERY_LETTERS || ageMs > LONGEST_DELAY_MS) return 0;
    const { rowCount } = await this.pool.query(
      `SELECT FROM sluice.job WHERE state IN ('running', 'finalizing') LIMIT 1`,
    );
    if (rowCount === 0) return 0;
    return Math.min(LONGEST_REST_MS, Math.max(SHORTEST_REST_MS, RESTS_A_DELIVERY * tookMs));
  }
}
