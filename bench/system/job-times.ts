import type pg from 'pg';
import { eventually } from '#test/support/eventually.js';

/** When a job passed what, in ms since 1970 by this machine's clock. */
export interface JobTimes {
  /** Its request was accepted. */
  readonly createdAt: number;
  /** An ingestor took it. */
  readonly startedAt: number;
  /** The last batch was acknowledged by the raw topic … */
  readonly ingestedAt: number;
  /** … by the clean topic … */
  readonly validatedAt: number;
  /** … and committed to staging. */
  readonly loadedAt: number;
  /** Its rows were visible. */
  readonly visibleAt: number;
  /** The command had its report. */
  readonly reportedAt: number;
}

const JOB_TIMES = `
  SELECT 1000 * extract(epoch FROM created_at)::float8 AS "createdAt",
         1000 * extract(epoch FROM started_at)::float8 AS "startedAt",
         1000 * extract(epoch FROM finished_at)::float8 AS "visibleAt",
         1000 * extract(epoch FROM (SELECT last_at FROM sluice.job_stage WHERE job = id AND stage = 'ingest'))::float8
           AS "ingestedAt",
         1000 * extract(epoch FROM (SELECT last_at FROM sluice.job_stage WHERE job = id AND stage = 'validate'))::float8
           AS "validatedAt",
         1000 * extract(epoch FROM (SELECT last_at FROM sluice.job_stage WHERE job = id AND stage = 'load'))::float8
           AS "loadedAt"
  FROM sluice.job WHERE id = $1`;

/** Of a job that has ended, once the tracker knows of it. */
export async function jobTimesOf(client: pg.Client, job: string, reportedAt: number): Promise<JobTimes> {
  const { rows } = await client.query<Omit<JobTimes, 'reportedAt'>>(JOB_TIMES, [job]);
  const [times] = rows;
  if (times === undefined) throw new RangeError(`There is no job ${job}.`);
  return { ...times, reportedAt };
}

/** The same of a job whose end was seen before the tracker had the events of its stages. */
export async function untilTimesKnown(client: pg.Client, job: string, reportedAt: number): Promise<JobTimes> {
  let times: JobTimes | undefined;
  await eventually(async () => {
    times = await jobTimesOf(client, job, reportedAt);
    return Object.values(times).every((at) => at !== null);
  }, 'the tracker to have the events of a job');
  if (times === undefined) throw new RangeError(`There are no times of job ${job}.`);
  return times;
}

/** Seconds between one event and the next; they add up to the time from request to report. The stages overlap. */
export function partsOf(times: JobTimes): Record<string, number> {
  const steps: readonly (readonly [string, number])[] = [
    ['until started', times.startedAt],
    ['until all ingested', times.ingestedAt],
    ['until all validated', times.validatedAt],
    ['until all loaded', times.loadedAt],
    ['until visible', times.visibleAt],
    ['until reported', times.reportedAt],
  ];
  const parts: Record<string, number> = {};
  let before = times.createdAt;
  for (const [name, at] of steps) {
    // Events of the last batches overtake each other by milliseconds.
    const reached = Math.max(before, at);
    parts[name] = (reached - before) / 1000;
    before = reached;
  }
  return parts;
}
