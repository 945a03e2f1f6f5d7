import { SluiceError } from '#common/errors/sluice-error.js';
import { classifyBrokerError } from '#common/kafka/client/kafka-errors.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';

/** Whether an error is the brokers' or the database's state, which passes by itself: waited for, however long it takes. */
export function isServerAway(error: unknown): boolean {
  if (error instanceof SluiceError)
    return error.code === 'BROKER_UNAVAILABLE' || error.code === 'DATABASE_UNAVAILABLE';
  const kind = classifyDatabaseError(error);
  return (
    kind === 'wait' ||
    kind === 'retry' ||
    databaseProblem(error)?.code === 'DATABASE_UNAVAILABLE' ||
    classifyBrokerError(error) === 'wait'
  );
}
