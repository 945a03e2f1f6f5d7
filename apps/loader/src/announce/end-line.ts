import type { Logger } from 'pino';
import type { AnnouncedJob } from '#core/job/announce-lease.js';

/**
 * The one log line of a job's end, whichever service ended it. What reads logs counts by its fields, so they are documented
 * (docs/operations.md): `ended` is the state, `code` the error of a failed job, and the rest are numbers of records.
 *
 * A failed job is a warning: what made it fail is logged where it happened, as an error where an operator has to act.
 */
export function logEnd(logger: Logger, { id, dataset, state, counts, code }: AnnouncedJob): void {
  const { read: records, loaded, refused, superseded } = counts ?? {};
  const facts = { job: id, dataset, ended: state, ...(code !== null && { code }) };
  const line = { ...facts, records, loaded, refused, superseded };
  if (state === 'failed') logger.warn(line, 'the job has ended');
  else logger.info(line, 'the job has ended');
}
