import type { BenchResult, CaseResult } from './result.js';

/** So much worse is still noise: two runs of the same commit on a shared machine differ by less. */
export const WORSE_SHARE = 0.15;

export interface ComparedRatio {
  readonly case: string;
  readonly ratio: string;
  readonly before: number;
  readonly now: number;
  /** 0.2: a fifth more than before, which is worse. */
  readonly change: number;
  readonly isWorse: boolean;
}

/** The medians of the ratios that both have. */
export function compareRatios(now: readonly CaseResult[], before: BenchResult): ComparedRatio[] {
  return now.flatMap((result) => {
    const earlier = before.cases.find(({ name }) => name === result.name);
    return result.ratios.flatMap((ratio) => {
      const previous = earlier?.ratios.find(({ name }) => name === ratio.name);
      if (previous === undefined) return [];
      const change = ratio.median / previous.median - 1;
      return {
        case: result.name,
        ratio: ratio.name,
        before: previous.median,
        now: ratio.median,
        change,
        isWorse: change > WORSE_SHARE,
      };
    });
  });
}

/**
 * Why the cases cannot be compared, a sentence each: nothing in common, or other numbers of rows.
 * @param planned what is measured, or was
 */
export function whyNotComparable(
  planned: readonly Pick<CaseResult, 'name' | 'rows'>[],
  before: BenchResult,
): string[] {
  const pairs = planned.flatMap((now) =>
    before.cases.filter(({ name }) => name === now.name).map((earlier) => ({ now, earlier })),
  );
  if (pairs.length === 0) {
    const names = before.cases.map(({ name }) => name).join(', ');
    return [`It holds none of these cases, only ${names === '' ? 'none at all' : names}.`];
  }
  return pairs
    .filter(({ now, earlier }) => now.rows !== earlier.rows)
    .map(({ now, earlier }) => `${now.name} has ${now.rows} rows here and ${earlier.rows} there.`);
}
