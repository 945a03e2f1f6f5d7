import { SluiceError } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';

/*
 * How often work for a job is tried before a fault pauses it.
 *
 * Loading: within one delivery, so that its messages are never parked for an error that belongs to the job.
 * Finalizing, an unknown error: some seconds, so that the job does not occupy its slot for long.
 * Finalizing, deadlocks and serialization failures: other sessions are in the way, and that passes; minutes.
 */
export const LOADING_ATTEMPTS = 4;
export const FINALIZING_ATTEMPTS = 5;
export const FINALIZING_ATTEMPTS_AGAINST_OTHERS = 20;

/**
 * The error that pauses a job after repeated failures that are no record's fault and are not known to pass. An error of
 * Sluice keeps its code and message; PostgreSQL's message is quoted without the value that it refused. PURE.
 * @param doing e.g. `Loading`
 */
export function jobFault(
  error: unknown,
  doing: string,
  attempts: number,
  place: { readonly dataset: string; readonly job: string },
): SluiceError {
  if (error instanceof SluiceError && error.code !== 'INTERNAL') return error;
  const state = sqlstateOf(error);
  const said = state === null ? loggableMessage(error) : `${loggableMessage(error)} (SQLSTATE ${state})`;
  return new SluiceError('JOB_FAULT', `${doing} failed ${attempts} times: ${said}.`, place, { cause: error });
}
