import type { RatioResult, Run } from './result.js';

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Which label's seconds are compared with which. */
export interface RatioQuestion {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  /** At most this is aimed at; null: printed only. */
  readonly target: number | null;
}

/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN;
  return (lower + upper) / 2;
}

/** The smallest value that this share of them does not exceed; NaN of none. @param share 0…1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** NaN three times of none. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { min: NaN, median: NaN, max: NaN };
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) };
}

/**
 * Seconds of one label divided by seconds of another, round by round: what slows the machine down for a while slows
 * both. A round that has only one of them is left out.
 * @returns undefined when no round has both
 */
export function ratioOf(runs: readonly Run[], question: RatioQuestion): RatioResult | undefined {
  const secondsOf = (label: string, round: number): number | undefined =>
    runs.find((run) => run.label === label && run.round === round)?.seconds;
  const rounds = [...new Set(runs.map(({ round }) => round))];
  const ratios = rounds.flatMap((round) => {
    const [of, to] = [secondsOf(question.of, round), secondsOf(question.to, round)];
    return of === undefined || to === undefined ? [] : [of / to];
  });
  return ratios.length === 0 ? undefined : { ...question, ...spreadOf(ratios) };
}

/** Every question that the runs can answer. */
export function ratiosOf(runs: readonly Run[], questions: readonly RatioQuestion[]): RatioResult[] {
  return questions.flatMap((question) => ratioOf(runs, question) ?? []);
}
