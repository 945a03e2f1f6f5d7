import pg, { type PoolClient } from 'pg';
import { faultPoint } from '#common/faults/fault-point.js';
import { revokeStatements } from '#core/staging/kept-statements.js';
import { RECORD_COLUMN, STAGING_SCHEMA, stagingTable } from '#core/staging/staging-names.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { stagedTwin } from './build-indexes.js';

/**
 * The exchange itself. Only catalogs change, no row is touched.
 *
 * The order matters: a moved table takes its indexes, constraints and identity sequences along, so moving the old
 * one out of its schema frees all their names at once; statistics objects stay where they are until the old table
 * goes. Views keep their OID, and so their privileges, comments, and the views on them.
 */
export async function exchangeTables(
  client: PoolClient,
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): Promise<void> {
  const pairs = targets.map((target) => {
    const twin = stagedTwin(staged, target, jobId);
    if (twin === undefined) throw new RangeError(`No staging table for ${target.name}.`);
    return { target, twin };
  });
  const views = new Map(targets.flatMap(({ views }) => views).map((view) => [view.name, view.definition]));
  const statements = [
    ...pairs.flatMap(({ target, twin }) => becomeLike(target, twin)),
    ...targets.flatMap(({ schema, sequences }) =>
      sequences
        .filter(({ identity }) => !identity)
        .map(({ name }) => `ALTER SEQUENCE ${inSchema(schema, name)} OWNED BY NONE`),
    ),
    ...targets.map(({ name }) => `ALTER TABLE ${name} SET SCHEMA ${STAGING_SCHEMA}`),
    ...pairs.flatMap(({ target, twin }) => [
      `ALTER TABLE ${twin.name} SET SCHEMA ${pg.escapeIdentifier(target.schema)}`,
      `ALTER TABLE ${inSchema(target.schema, twin.table)} RENAME TO ${pg.escapeIdentifier(target.table)}`,
      // Not while it is in the staging schema: an owner needs CREATE in the schema of its tables.
      ...(target.owner === twin.owner
        ? []
        : [`ALTER TABLE ${target.name} OWNER TO ${pg.escapeIdentifier(target.owner)}`]),
    ]),
    ...targets.flatMap(({ schema, name: table, sequences }) =>
      sequences
        .filter(({ identity }) => !identity)
        .map(
          ({ name, column }) =>
            `ALTER SEQUENCE ${inSchema(schema, name)} OWNED BY ${table}.${pg.escapeIdentifier(column)}`,
        ),
    ),
    ...views.values(),
    `DROP TABLE ${targets.map(({ table }) => inSchema(STAGING_SCHEMA, table)).join(', ')}`,
    ...pairs.flatMap(({ target, twin }) => takeNames(target, twin, jobId)),
    ...targets.flatMap(({ kept }) => kept),
  ];
  for (const statement of statements) {
    await client.query(statement);
    if (statement.includes(' RENAME TO ')) faultPoint('finalizer.in-swap');
  }
  const oids = staged.map(({ oid }) => oid);
  for (const statement of await revokeStatements(client, oids)) await client.query(statement);
  for (const statement of targets.flatMap(({ grants }) => grants)) await client.query(statement);
}

/** What can be done while the table still bears its staging name. */
function becomeLike(target: TargetFacts, twin: TargetFacts): string[] {
  const options = twin.options.map((option) => option.slice(0, option.indexOf('=')));
  return [
    `ALTER TABLE ${twin.name} DROP COLUMN ${RECORD_COLUMN}`,
    `ALTER TABLE ${twin.name} RESET (${options.join(', ')})`,
    ...(target.options.length > 0 ? [`ALTER TABLE ${twin.name} SET (${target.options.join(', ')})`] : []),
    `ALTER TABLE ${twin.name} REPLICA IDENTITY DEFAULT`,
  ];
}

/** Index names are their constraints' names too: renaming the one renames the other. */
function takeNames(target: TargetFacts, twin: TargetFacts, jobId: string): string[] {
  const rename = (kind: string, from: string, to: string): string =>
    `ALTER ${kind} ${inSchema(target.schema, from)} RENAME TO ${pg.escapeIdentifier(to)}`;
  return [
    ...target.indexes.map(({ name }) => rename('INDEX', stagingTable(name, jobId), name)),
    ...target.sequences.flatMap(({ name, column, identity }) => {
      const own = twin.sequences.find((sequence) => sequence.identity && sequence.column === column);
      return identity && own !== undefined ? [rename('SEQUENCE', own.name, name)] : [];
    }),
    ...target.statistics.flatMap(({ name }) => {
      const stagedName = stagingTable(name, jobId);
      return [
        `ALTER STATISTICS ${inSchema(STAGING_SCHEMA, stagedName)} SET SCHEMA ${pg.escapeIdentifier(target.schema)}`,
        rename('STATISTICS', stagedName, name),
      ];
    }),
  ];
}

function inSchema(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}
