import type { Run } from '../report/result.js';
import type { Cost } from '../system/cost.js';

/** What a stage has taken in. */
export interface Amount {
  readonly rows: number;
  readonly bytes: number;
  /** Seconds of its parts, where it has some. */
  readonly parts?: Readonly<Record<string, number>>;
}

/** What `costOf` and `BenchSystem.measure` tell of a stage. */
export interface MeasuredStage extends Cost {
  readonly result: Amount;
  readonly seconds: number;
  readonly brokerBytes?: Readonly<Record<string, number>>;
}

/** A run with what it took in, so that MB/s can be told of it. */
export interface StageRun extends Run {
  readonly bytes: number;
}

export function stageRun(label: string, round: number, { result, ...measured }: MeasuredStage): StageRun {
  const { rows, bytes, parts } = result;
  return { label, round, rows, bytes, ...measured, ...(parts === undefined ? {} : { parts }) };
}

/** For ratios of stages that take in different numbers of rows. */
export function perRow(run: StageRun): StageRun {
  return { ...run, seconds: run.seconds / run.rows };
}

/** `check, round 1: 0.212 s, 470,000 rows/s, 78 MB/s; CPU seconds: bench 0.21` */
export function lineOf({ label, round, rows, bytes, seconds, cpuSeconds = {} }: StageRun): string {
  const number = (value: number): string => Math.round(value).toLocaleString('en');
  const cpu = Object.entries(cpuSeconds)
    .filter(([, used]) => used >= 0.005)
    .map(([name, used]) => `${name} ${used.toFixed(2)}`);
  return (
    `${label}, round ${round}: ${seconds.toPrecision(3)} s, ${number(rows / seconds)} rows/s, ` +
    `${number(bytes / seconds / 1e6)} MB/s; CPU seconds: ${cpu.join(', ') || 'none'}`
  );
}
