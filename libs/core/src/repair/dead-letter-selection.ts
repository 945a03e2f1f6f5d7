import type { DeadLetterFilter, DeadLetterSelection } from '#api/dead-letters.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/** Which dead letters a request means, as SQL over `sluice.dead_letter AS letter`. */
export interface DeadLetterCondition {
  readonly where: string;
  /** From $1 on. */
  readonly parameters: readonly unknown[];
}

/** Ids each once, in the form in which they are listed, and one way of choosing. @returns what is wrong with it, or it */
export function selectionOf({
  ids,
  group,
  filter,
}: DeadLetterSelection): { readonly selection: DeadLetterSelection } | { readonly problem: string } {
  const given = [ids, group, filter].filter((each) => each !== undefined).length;
  if (given !== 1) return { problem: 'Name the dead letters by exactly one of ids, group and filter.' };
  if (filter !== undefined && Object.values(filter).every((value) => value === undefined))
    return { problem: 'A filter needs at least one of dataset, job, code and stage.' };
  if (ids !== undefined) return { selection: { ids: [...new Set(ids.map(listedId))] } };
  return { selection: group === undefined ? { filter: filter ?? {} } : { group } };
}

/** `<job>:<record>` as lists show it. */
export function listedId(id: string): string {
  return id.toLowerCase().replace(/:0+(?=\d)/, ':');
}

const OF_IDS =
  '(letter.job, letter.record) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS asked (job, record))';

export function conditionOf({ ids, group, filter }: DeadLetterSelection): DeadLetterCondition {
  if (ids !== undefined) return { where: OF_IDS, parameters: keysOf(ids) };
  if (group !== undefined) return { where: 'letter.group_id = $1', parameters: [group] };
  const entries = Object.entries(filter ?? {}).filter(([, value]) => value !== undefined);
  return {
    where: entries
      .map(([name], at) => CONDITIONS[name as keyof DeadLetterFilter].replace('$', `$${at + 1}`))
      .join(' AND '),
    parameters: entries.map(([, value]) => value as string),
  };
}

function keysOf(ids: readonly string[]): unknown[] {
  const keys = ids.map((id) => id.split(':'));
  return [keys.map(([job]) => job), keys.map(([, record]) => record)];
}

const CONDITIONS: Readonly<Record<keyof DeadLetterFilter, string>> = {
  dataset: 'letter.dataset = $',
  job: 'letter.job = $',
  code: '$ = ANY (letter.codes)',
  stage: 'letter.stage = $',
};

/** What becomes of ids that were named one by one. */
export interface NamedIds {
  readonly unknown: readonly string[];
  /** That are not open. */
  readonly decided: readonly string[];
}

export async function namedIds(client: SqlClient, ids: readonly string[] = []): Promise<NamedIds> {
  if (ids.length === 0) return { unknown: [], decided: [] };
  const { rows } = await client.query<{ id: string; state: string }>(
    `SELECT letter.job || ':' || letter.record AS id, letter.state
       FROM sluice.dead_letter AS letter WHERE ${OF_IDS}`,
    keysOf(ids),
  );
  const states = new Map(rows.map(({ id, state }) => [id, state]));
  return {
    unknown: ids.filter((id) => !states.has(id)),
    decided: ids.filter((id) => states.has(id) && states.get(id) !== 'open'),
  };
}
