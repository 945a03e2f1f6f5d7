import type { SeededRandom } from '#core/dataset/generate.js';

/** The same values in an order that the numbers choose. */
export function shuffled<T>(values: readonly T[], random: SeededRandom): T[] {
  return values
    .map((value) => ({ value, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
