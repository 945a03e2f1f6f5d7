import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CleanedFile } from './cleaned-files.js';
import { type Psql, copyFrom } from './psql.js';

/** Table → what it is called in `sql/upsert.sql`. */
export const STAGED: Readonly<Record<string, string>> = {
  tax_registration: 'staged_registration',
  business_industry: 'staged_industry',
};

/**
 * An extract into full tables, as an expert would with psql: `\copy` of cleaned rows into temporary tables, then INSERT
 * ON CONFLICT. Rows end up as those of `upsert`, industries that stay the same are not written.
 * @param workMem of the session; joins of whole tables would spill with the server's default
 */
export async function upsertWithPsql(
  psql: Psql,
  cleaned: readonly CleanedFile[],
  workMem: string,
): Promise<void> {
  const staging = cleaned.map(({ table, columns, path }) => {
    const staged = STAGED[table] ?? table;
    const list = columns.map((column) => `"${column}"`).join(', ');
    return `CREATE TEMP TABLE ${staged} AS SELECT ${list} FROM public.${table} WITH NO DATA;\n${copyFrom(staged, columns, path)}`;
  });
  await psql.run('upsert', staging.join('') + (await upsertSql()), { work_mem: workMem });
}

/** From the staged tables into the others. */
export function upsertSql(): Promise<string> {
  return readFile(join(import.meta.dirname, 'sql', 'upsert.sql'), 'utf8');
}
