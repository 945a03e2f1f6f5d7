/** Whether the tables of a database fit a dataset's contract, asked of PostgreSQL itself; nothing is changed. */
import type { SqlClient } from '#common/postgres/sql-client.js';
import { qualified, tableFacts } from '../derive/table-sql.js';
import { type FoundColumn, keepsUnique, type TableFacts, unfilledColumns } from '../derive/table-facts.js';
import type { RegisteredDataset } from '../registry/registry.js';
import { findTables } from '../schema/found-tables.js';
import { planContract } from '../record/compile/contract-plan.js';

/**
 * @returns problems: a table or column that is missing, a key that nothing keeps, a column that takes no NULL where the
 *   contract stores it, one that nothing fills, one that is shorter than what the contract accepts
 */
export async function tableProblems(client: SqlClient, { dataset }: RegisteredDataset): Promise<string[]> {
  const wanted = tableFacts(dataset);
  const found = await findTables(client, wanted);
  const { key } = planContract(dataset);
  return wanted.flatMap((table, at) => {
    const name = qualified(table);
    const there = found.find((one) => one.schema === table.schema && one.table === table.table);
    if (there === undefined) return [`there is no table ${name}`];
    const problems = table.columns.flatMap((column) => {
      const own = there.columns.find((one) => one.name === column.name);
      return own === undefined ? [`${name} has no column ${column.name}`] : columnProblems(name, column, own);
    });
    problems.push(
      ...unfilledColumns(table, there).map(
        (column) => `${name}.${column.name} takes no NULL, and the contract does not fill it`,
      ),
    );
    if (at === 0 && !keepsUnique(there, key))
      problems.push(`${name} has no primary key or unique index on ${key.join(', ')}`);
    return problems;
  });
}

function columnProblems(table: string, wanted: TableFacts['columns'][number], found: FoundColumn): string[] {
  const problems: string[] = [];
  if (found.notNull && !wanted.notNull)
    problems.push(`${table}.${wanted.name} takes no NULL, and the contract may store it`);
  const room = lengthOf(found.type);
  const needed = lengthOf(wanted.type);
  if (room !== null && needed !== null && needed > room)
    problems.push(`${table}.${wanted.name} takes ${room} characters, and the contract accepts ${needed}`);
  return problems;
}

/** Of `character varying(20)` and `varchar(20)`; null for any other type. */
function lengthOf(type: string): number | null {
  const length = /^(?:character varying|varchar)\((\d+)\)$/.exec(type)?.[1];
  return length === undefined ? null : Number(length);
}
