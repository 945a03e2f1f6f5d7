import type { Bench } from '../bench-case.js';
import type { Run } from '../report/result.js';

/** One of those that are measured in turns. */
export interface Contestant {
  readonly label: string;
  /** Makes everything ready, outside the clock, and measures once. */
  measure(): Promise<Omit<Run, 'label' | 'round'>>;
}

/**
 * Measures all of them round by round, each round beginning with another one: whichever follows upon which, and what the
 * machine does meanwhile, is the same for all in the end.
 */
export async function measureInTurns(
  { rounds, say }: Pick<Bench, 'rounds' | 'say'>,
  contestants: readonly Contestant[],
): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const contestant of rotated(contestants, round - 1)) {
      const { label } = contestant;
      const measured = await contestant.measure();
      say(`  round ${round}, ${label}: ${measured.seconds.toFixed(2)} s`);
      runs.push({ label, round, ...measured });
    }
  }
  return runs;
}

/** Begins with the element at `by`, counted on over the end, and keeps the order. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const start = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
