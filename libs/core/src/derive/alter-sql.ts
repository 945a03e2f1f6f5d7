/**
 * What makes tables that exist fit a contract that has changed. PURE. A proposal: what may lose data is written as a
 * comment, for a person to decide.
 */
import { columnSql, createTableSql, qualified, sqlName } from './table-sql.js';
import {
  type ColumnFacts,
  type FoundColumn,
  type FoundTable,
  keepsUnique,
  type TableFacts,
  unfilledColumns,
} from './table-facts.js';

/**
 * @param wanted by the contract, its types as PostgreSQL writes them
 * @param found in the database; a table that is not there is left out
 * @returns SQL; empty where nothing is to change
 */
export function alterTablesSql(wanted: readonly TableFacts[], found: readonly FoundTable[]): string {
  return wanted
    .map((table) => {
      const there = found.find((one) => one.schema === table.schema && one.table === table.table);
      return there === undefined ? createTableSql(table) : alterTable(table, there);
    })
    .filter((sql) => sql !== '')
    .join('\n');
}

function alterTable(wanted: TableFacts, found: FoundTable): string {
  const name = qualified(wanted);
  const statements = wanted.columns.flatMap((column) => {
    const there = found.columns.find((one) => one.name === column.name);
    if (there === undefined) return added(name, column);
    return changed(name, column, there);
  });
  for (const column of unfilledColumns(wanted, found)) {
    statements.push(
      `${comment(`The contract does not fill ${column.name} any more, and it takes no NULL:`)}\n` +
        `ALTER TABLE ${name} ALTER COLUMN ${sqlName(column.name)} DROP NOT NULL;`,
    );
  }
  if (wanted.key.length > 0 && !keepsUnique(found, wanted.key)) {
    statements.push(`CREATE UNIQUE INDEX ON ${name} (${wanted.key.map(sqlName).join(', ')});`);
  }
  return statements.map((statement) => `${statement}\n`).join('');
}

/** Rows that exist have no value, so NOT NULL is for a person to add once they have. */
function added(table: string, column: ColumnFacts): string[] {
  const add = `ALTER TABLE ${table} ADD COLUMN ${columnSql({ ...column, notNull: false })};`;
  return column.notNull
    ? [
        add,
        comment(
          `Once every row has a value: ALTER TABLE ${table} ALTER COLUMN ${sqlName(column.name)} SET NOT NULL;`,
        ),
      ]
    : [add];
}

function changed(table: string, wanted: ColumnFacts, found: FoundColumn): string[] {
  const column = sqlName(wanted.name);
  const statements: string[] = [];
  if (wanted.type !== found.type) {
    statements.push(
      `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${wanted.type} USING ${column}::${wanted.type};`,
    );
  }
  if (found.notNull && !wanted.notNull)
    statements.push(`ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL;`);
  if (!found.notNull && wanted.notNull) {
    statements.push(
      comment(`Once every row has a value: ALTER TABLE ${table} ALTER COLUMN ${column} SET NOT NULL;`),
    );
  }
  return statements;
}

/** On one line: what stands behind a line end in a column's name would be a statement. */
function comment(text: string): string {
  return `-- ${text.replaceAll(/[\n\r]/g, ' ')}`;
}
