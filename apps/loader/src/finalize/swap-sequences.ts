import pg, { type PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { ownSequences } from '#core/staging/own-sequences.js';
import { STAGING_SCHEMA } from '#core/staging/staging-names.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { stagedTwin } from './build-indexes.js';

/**
 * What a swap does with sequences, so that ids belong to the snapshot and no later INSERT meets one of them.
 *
 * - SQ1: a `serial` column has counted in a sequence of its staging table's own. Its default goes back to the target's
 *   sequence, which keeps name, OID and privileges, and continues after the last number of the snapshot; at its start
 *   value when there is none.
 * - SQ2: it is set by ALTER SEQUENCE … RESTART, which gives the sequence a new file. What draws from it afterwards in the
 *   same transaction draws from that file, so all of it is undone when the transaction is. A setval alone is not.
 * - SQ3: putting a default back may be committed without a swap, when something has to be prepared again. Rows are loaded
 *   no more by then, and the staging table keeps its sequence until it becomes visible.
 * - SQ4: an identity column that the contract fills has drawn nothing. Its new sequence continues where the old one is.
 */
export interface SerialColumn {
  readonly column: string;
  /** The target's sequence, qualified and quoted like all names here. */
  readonly sequence: string;
  readonly staging: string;
  /** In which the snapshot has counted. */
  readonly counter: string;
}

/**
 * Columns that have counted in staging, and the sequences that they draw from in the target.
 * @param targets under their locks
 */
export async function serialColumns(
  client: PoolClient,
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): Promise<SerialColumn[]> {
  if (staged.every((twin) => counters(twin).length === 0)) return [];
  const own = await ownSequences(client, {
    schema: targets[0]?.schema ?? '',
    tables: targets.map(({ table }) => table),
  });
  return targets.flatMap((target) => {
    const twin = stagedTwin(staged, target, jobId);
    if (twin === undefined) return [];
    return counters(twin).flatMap(({ name, column }) =>
      own
        .filter((sequence) => sequence.table === target.table && sequence.column === column)
        .map((sequence) => ({
          column: pg.escapeIdentifier(column),
          sequence: sequence.name,
          staging: twin.name,
          counter: inSchema(STAGING_SCHEMA, name),
        })),
    );
  });
}

/** SQ3: from here on definitions of staging and target can be compared. */
export async function putDefaultsBack(client: PoolClient, serial: readonly SerialColumn[]): Promise<void> {
  for (const { staging, column, sequence } of serial) {
    await client.query(
      `ALTER TABLE ${staging} ALTER ${column} SET DEFAULT nextval(${pg.escapeLiteral(sequence)})`,
    );
  }
}

/**
 * SQ1, SQ2: sets the targets' sequences behind the snapshot, and drops those that it has counted in.
 * @throws SluiceError TARGET_CHANGED when a sequence has become another's, too, or has no such numbers any more
 */
export async function setBehindSnapshot(
  client: PoolClient,
  serial: readonly SerialColumn[],
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): Promise<void> {
  for (const target of targets) {
    const twin = stagedTwin(staged, target, jobId);
    for (const { name, column } of twin === undefined ? [] : counters(twin)) {
      if (serial.some(({ counter }) => counter === inSchema(STAGING_SCHEMA, name))) continue;
      throw changed(`column ${column} of ${target.name} has none of its own any more.`, jobId);
    }
  }
  for (const { sequence, counter } of serial) {
    const state = await stateOf(client, counter, sequence);
    if (!state.called) await client.query(`ALTER SEQUENCE ${sequence} RESTART`);
    else if (state.fits) await goOnBehind(client, sequence, state.last);
    else throw changed(`${sequence} does not reach ${state.last}, which was given to a row.`, jobId);
    await client.query(`DROP SEQUENCE ${counter}`);
  }
}

/**
 * SQ4: to be called before the exchange.
 * @param rows of each table: those that are there and have drawn no number were given one
 */
export async function takeOverIdentities(
  client: PoolClient,
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  rows: readonly number[],
  jobId: string,
): Promise<void> {
  for (const [index, target] of targets.entries()) {
    if ((rows[index] ?? 0) === 0) continue;
    for (const { name, column } of target.sequences.filter(({ identity }) => identity)) {
      const twin = stagedTwin(staged, target, jobId)?.sequences.find(
        (sequence) => sequence.identity && sequence.column === column,
      );
      if (twin === undefined) continue;
      const old = inSchema(target.schema, name);
      const own = inSchema(STAGING_SCHEMA, twin.name);
      if ((await stateOf(client, own, own)).called || !(await isReadable(client, old))) continue;
      const state = await stateOf(client, old, own);
      if (!state.fits) continue;
      if (state.called) await goOnBehind(client, own, state.last);
      else await client.query(`ALTER SEQUENCE ${own} RESTART WITH ${state.last}`);
    }
  }
}

/** Sequences of a staging table that a `serial` column has counted in. */
function counters({ sequences }: TargetFacts): TargetFacts['sequences'] {
  return sequences.filter(({ identity }) => !identity);
}

interface SequenceState {
  /** A bigint; as text, because not each has a number of JavaScript. */
  readonly last: string;
  readonly called: boolean;
  /** Whether the other sequence has this number, too. */
  readonly fits: boolean;
}

async function stateOf(client: PoolClient, sequence: string, other: string): Promise<SequenceState> {
  const { rows } = await client.query<SequenceState>(
    `SELECT s.last_value::text AS last, s.is_called AS called, s.last_value BETWEEN q.seqmin AND q.seqmax AS fits
     FROM ${sequence} AS s, pg_sequence AS q WHERE q.seqrelid = $1::regclass`,
    [other],
  );
  const [state] = rows;
  if (state === undefined) throw new RangeError(`${other} is no sequence.`);
  return state;
}

/** Drawing the last number once more needs no right besides those that rows need, and may use up the last one. */
async function goOnBehind(client: PoolClient, sequence: string, last: string): Promise<void> {
  await client.query(`ALTER SEQUENCE ${sequence} RESTART WITH ${last}`);
  await client.query('SELECT nextval($1::regclass)', [sequence]);
}

/** An owner may have taken this right from itself. */
async function isReadable(client: PoolClient, sequence: string): Promise<boolean> {
  const { rows } = await client.query<{ readable: boolean }>(
    `SELECT has_sequence_privilege($1, 'SELECT') AS readable`,
    [sequence],
  );
  return rows[0]?.readable === true;
}

function inSchema(schema: string, name: string): string {
  return `${schema}.${pg.escapeIdentifier(name)}`;
}

function changed(what: string, job: string): SluiceError {
  return new SluiceError('TARGET_CHANGED', `A sequence was altered while the job was running: ${what}`, {
    job,
  });
}
