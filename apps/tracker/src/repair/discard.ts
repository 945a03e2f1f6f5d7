import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import type { DeadLetterSelection, DeadLettersDiscarded, DiscardDeadLetters } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { ProblemError } from '#common/http/problem-details.filter.js';
import { inTransaction } from '#common/postgres/pool.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { FOLD_LOCK } from '#core/job/begin-again.js';
import {
  conditionOf,
  type DeadLetterCondition,
  namedIds,
  selectionOf,
} from '#core/repair/dead-letter-selection.js';
import { type DeadLetterKey, moveDeadLetters } from '#core/repair/dead-letter-sums.js';
import { BRIEF_LOCKS, isHeldByAnother } from '../fold/brief-locks.js';

/** One transaction's dead letters: what is folded meanwhile waits for a fraction of a second at most. */
export const STEP_DEAD_LETTERS = 2_000;
/** Longer than a resubmission takes for one job (`RESUBMISSION_LIMITS` of the ingestor). */
const PATIENCE_MS = 10 * 60_000;

/**
 * Discards dead letters: they stay where they are, marked with a reason, and are neither listed as open nor resubmitted.
 *
 * - DC1: a request is worked through in steps, each one transaction of dead letters, counts and audit. One that broke off
 *   shows how far it came, and the same request does the rest: what is not open any more is left alone.
 * - DC2: of two requests at a time for one dead letter one discards it, and one counts it.
 * - DC3: what is discarded is in the database alone, and a rebuild keeps it (docs/decisions/0022).
 * - DC4: no step waits for a dead letter longer than a second while it holds FOLD_LOCK (`brief-locks.ts`).
 */
@Injectable()
export class Discard {
  constructor(private readonly database: DataSource) {}

  /** @throws SluiceError REQUEST_INVALID; what `pg` throws */
  async discard(request: DiscardDeadLetters): Promise<DeadLettersDiscarded> {
    const { reason, by, dryRun = false } = request;
    const selection = checkedSelection(request);
    const condition = conditionOf(selection);
    const named = await namedIds(poolOf(this.database), selection.ids);
    const unknown = [...named.unknown];
    const decided = named.decided.length;
    if (dryRun) {
      const discarded = await this.countOpen(condition);
      return { action: null, dryRun, discarded, decided, unknown };
    }
    const action = uuidv7();
    await poolOf(this.database).query(
      `INSERT INTO sluice.repair_action (id, action, selection, reason, by_whom) VALUES ($1, 'discard', $2, $3, $4)`,
      [action, JSON.stringify(selection), reason, by ?? null],
    );
    const discarded = await this.discardAll(action, condition, reason);
    await poolOf(this.database).query('UPDATE sluice.repair_action SET finished_at = now() WHERE id = $1', [
      action,
    ]);
    // Another request may have taken some of the ids in between.
    const open = (selection.ids ?? []).length - decided - unknown.length;
    return { action, dryRun, discarded, decided: decided + Math.max(0, open - discarded), unknown };
  }

  /** DC1. @returns how many */
  private async discardAll(action: string, condition: DeadLetterCondition, reason: string): Promise<number> {
    let discarded = 0;
    for (let after: DeadLetterKey | null = null; ;) {
      const step = await this.patientStep(action, condition, reason, after);
      discarded += step.moved;
      // A step finds none of its dead letters open where another request was faster: others may follow.
      if (step.last === null && (await this.countOpen(condition, 1)) === 0) return discarded;
      after = step.last;
    }
  }

  /** @throws SluiceError DATABASE_UNAVAILABLE when a resubmission holds the dead letters longer than its jobs may take */
  private async patientStep(
    action: string,
    condition: DeadLetterCondition,
    reason: string,
    after: DeadLetterKey | null,
  ) {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.step(action, condition, reason, after);
      } catch (error) {
        if (!isHeldByAnother(error)) throw error;
        if (performance.now() >= until)
          throw new SluiceError(
            'DATABASE_UNAVAILABLE',
            'Another request holds these dead letters, a resubmission for example. What was discarded before stays discarded; send it again.',
            {},
            { cause: error },
          );
      }
    }
  }

  private step(action: string, condition: DeadLetterCondition, reason: string, after: DeadLetterKey | null) {
    return inTransaction(poolOf(this.database), async (client) => {
      await client.query(FOLD_LOCK);
      await client.query(BRIEF_LOCKS);
      const step = await moveDeadLetters(client, {
        ...{ from: 'open', to: 'discarded', reason, after, limit: STEP_DEAD_LETTERS },
        ...condition,
      });
      if (step.moved > 0)
        await client.query('UPDATE sluice.repair_action SET dead_letters = dead_letters + $2 WHERE id = $1', [
          action,
          step.moved,
        ]);
      return step;
    });
  }

  private async countOpen({ where, parameters }: DeadLetterCondition, most?: number): Promise<number> {
    const { rows } = await poolOf(this.database).query<{ count: number }>(
      `SELECT count(*)::integer AS count FROM (
         SELECT FROM sluice.dead_letter AS letter WHERE letter.state = 'open' AND (${where}) LIMIT ${most ?? 'ALL'}) AS open`,
      [...parameters],
    );
    return rows[0]?.count ?? 0;
  }
}

/** @throws SluiceError REQUEST_INVALID */
export function checkedSelection({ ids, group, filter }: DeadLetterSelection): DeadLetterSelection {
  const answer = selectionOf({
    ...(ids === undefined ? {} : { ids }),
    ...(group === undefined ? {} : { group }),
    ...(filter === undefined ? {} : { filter }),
  });
  if ('problem' in answer) throw new ProblemError('REQUEST_INVALID', answer.problem, 422);
  return answer.selection;
}
