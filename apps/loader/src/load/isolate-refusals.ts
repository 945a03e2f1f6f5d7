import pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { GENERAL_FINDING_CODES } from '#core/record/finding.js';
import { sectionText } from './batch-group.js';
import { copyFaultOf, copyInto, recordOfLine } from './copy-sections.js';
import type { StagingTarget } from './staging-targets.js';

/**
 * COPYs one batch and finds the records that the database refuses, inside the caller's transaction.
 *
 * PostgreSQL stops a COPY at the first row it refuses and names the line; the line's first column is the
 * record. The batch goes back to its savepoint and comes again without that record, in any table, until it
 * passes: a record is refused only because the database named it and its batch passes without it.
 * @returns the refusals in record order
 * @throws the database's error when it is no record's fault, or names no line of ours
 */
export async function isolateRefusals(
  client: pg.PoolClient,
  batch: CleanMessage,
  targets: readonly StagingTarget[],
  progress: () => void,
): Promise<LoadRefusal[]> {
  const refusals: LoadRefusal[] = [];
  for (;;) {
    await client.query('SAVEPOINT batch');
    try {
      for (const target of targets) {
        await copyInto(client, target, [sectionText(batch, target.table, refusals)], progress);
      }
      await client.query('RELEASE SAVEPOINT batch');
      return refusals.sort((a, b) => a.record - b.record);
    } catch (error) {
      const refusal = refusalOf(error, batch, targets, refusals);
      await client.query('ROLLBACK TO SAVEPOINT batch');
      refusals.push(refusal);
    }
  }
}

function refusalOf(
  error: unknown,
  batch: CleanMessage,
  targets: readonly StagingTarget[],
  refusals: readonly LoadRefusal[],
): LoadRefusal {
  if (!(error instanceof pg.DatabaseError) || classifyDatabaseError(error) !== 'record') throw error;
  const fault = copyFaultOf(error);
  const target = targets.find(({ stagingName }) => stagingName === fault?.table);
  const record = fault && target && recordOfLine(sectionText(batch, target.table, refusals), fault.line);
  if (typeof record !== 'number' || refusals.some((refusal) => refusal.record === record)) {
    throw new SluiceError(
      'DATABASE_FAULT',
      `PostgreSQL refused batch ${batch.batch} (${error.code ?? 'no SQLSTATE'}) without naming a record of it.`,
      { job: batch.job, batch: batch.batch },
      { cause: error },
    );
  }
  const { code, column, constraint } = error;
  return {
    record,
    sqlstate: code ?? null,
    findings: [
      {
        code: GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
        field: column ?? null,
        message: describe(error.message, constraint),
        severity: 'error',
      },
    ],
  };
}

function describe(message: string, constraint: string | undefined): string {
  return constraint === undefined ? message : `${message} (constraint ${constraint})`;
}
