import { DEAD_LETTER_STATES, type DeadLetterState } from '#api/dead-letters.js';

/**
 * What may become of a dead letter. PURE.
 *
 * ```
 * open ──▶ resubmitted ──▶ landed            its record is in the tables
 *   │        │   └───────▶ refused-again     a new dead letter, its successor, says why
 *   │        └───────────▶ open              the repair job ended without deciding: cancelled, or failed for good
 *   └─────▶ discarded                        by an operator, with a reason
 * ```
 *
 * - DS1: `landed`, `refused-again` and `discarded` are final: one dead letter is decided about once.
 * - DS2: the state changes by `moveDeadLetters` only, whose statement names the state before: of two decisions at a time
 *   the second finds nothing to change, and the counts follow what was changed.
 */
const NEXT: Readonly<Record<DeadLetterState, readonly DeadLetterState[]>> = {
  open: ['resubmitted', 'discarded'],
  resubmitted: ['landed', 'refused-again', 'open'],
  landed: [],
  'refused-again': [],
  discarded: [],
};

export function mayBecome(from: DeadLetterState, to: DeadLetterState): boolean {
  return NEXT[from].includes(to);
}

/** The column of `sluice.dead_letter_group` and `sluice.job_stage` that counts dead letters in this state. */
export function countColumn(state: DeadLetterState): string {
  return state.replaceAll('-', '_');
}

export const COUNT_COLUMNS: readonly string[] = DEAD_LETTER_STATES.map(countColumn);
