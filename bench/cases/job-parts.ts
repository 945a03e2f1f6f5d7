import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchSystem } from '../system/bench-system.js';
import type { JobTimes } from '../system/job-times.js';

/** A step of finalizing has begun. */
export interface StepBegin {
  readonly step: string;
  /** Ms since 1970. */
  readonly at: number;
}

/** The part that comes after the rows are visible. */
export const REPORTED = 'until reported';

/**
 * Where the seconds of a job went: until its last batch was ingested, validated and loaded (these stages overlap), then
 * step by step of finalizing, then until the report. They add up to the time from the request to the report; a step
 * that came several times is counted as one.
 */
export function jobParts(times: JobTimes, steps: readonly StepBegin[]): Record<string, number> {
  const ends: readonly (readonly [part: string, end: number])[] = [
    ['until started', times.startedAt],
    ['until all ingested', times.ingestedAt],
    ['until all validated', times.validatedAt],
    ['until all loaded', times.loadedAt],
    ['until finalizing', steps[0]?.at ?? times.loadedAt],
    ...steps.map(({ step }, index) => [step, steps[index + 1]?.at ?? times.visibleAt] as const),
    [REPORTED, times.reportedAt],
  ];
  const parts: Record<string, number> = {};
  let before = times.createdAt;
  for (const [part, end] of ends) {
    // The events of the last batches overtake each other, and the next step, by milliseconds.
    const reached = Math.max(before, end);
    parts[part] = (parts[part] ?? 0) + (reached - before) / 1000;
    before = reached;
  }
  return parts;
}

/** From the logs of the loaders, one of which has finalized the job. */
export async function finalizeSteps(system: Pick<BenchSystem, 'logs'>, job: string): Promise<StepBegin[]> {
  const logs = (await readdir(system.logs)).filter((name) => name.startsWith('loader'));
  const texts = await Promise.all(logs.map((name) => readFile(join(system.logs, name), 'utf8')));
  return stepsInLog(texts.join('\n'), job);
}

/** @param log JSON lines, and whatever else a process may have said */
export function stepsInLog(log: string, job: string): StepBegin[] {
  return log
    .split('\n')
    .filter((line) => line.includes('"finalizing"') && line.includes(job))
    .map((line) => JSON.parse(line) as { step: string; time: string | number })
    .map(({ step, time }) => ({ step, at: new Date(time).getTime() }))
    .sort((a, b) => a.at - b.at);
}
