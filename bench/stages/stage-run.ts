import type { Run } from '../report/result.js';
import { median } from '../report/statistics.js';
import type { Cost } from '../system/cost.js';

/** What a stage has taken in. */
export interface Amount {
  readonly rows: number;
  readonly bytes: number;
  /** Seconds of its parts, where it has some. */
  readonly parts?: Readonly<Record<string, number>>;
}

/** What `costOf` and `BenchSystem.measure` report of a stage. */
export interface MeasuredStage extends Cost {
  readonly result: Amount;
  readonly seconds: number;
  readonly brokerBytes?: Readonly<Record<string, number>>;
}

/** A run holds no bytes, so how many there were is kept beside it. */
export class StageRuns {
  private readonly bytes = new Map<string, number>();

  /** @param label of the stage; the same bytes in every round */
  runOf(label: string, { result, ...measured }: MeasuredStage): Omit<Run, 'label' | 'round'> {
    const { rows, bytes, parts } = result;
    this.bytes.set(label, bytes);
    return { rows, ...measured, ...(parts === undefined ? {} : { parts }) };
  }

  /** `MB/s at the median: cut 430, check 61, …` */
  rates(runs: readonly Run[]): string {
    const rates = [...this.bytes].map(([label, bytes]) => {
      const seconds = runs.filter((run) => run.label === label).map((run) => run.seconds);
      return `${label} ${Math.round(bytes / median(seconds) / 1e6).toLocaleString('en')}`;
    });
    return `MB/s at the median: ${rates.join(', ')}.`;
  }
}

/** For ratios of stages that take in different numbers of rows. */
export function perRow(run: Run): Run {
  return { ...run, seconds: run.seconds / run.rows };
}
