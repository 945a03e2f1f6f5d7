import { hash } from 'node:crypto';
import type { SqlClient } from './sql-client.js';

/** Connections that no pooler stands behind. */
const DIRECT = new WeakSet<object>();
/** Statement → its name. Grows with the program's text alone (PS2). */
const NAMES = new Map<string, string>();

type Named = (query: { name: string; text: string; values: unknown[] }) => ReturnType<SqlClient['query']>;

/**
 * The connection with its statements prepared: PostgreSQL parses and plans each once a connection, which for the queries of a small
 * job takes longer than to run them.
 *
 * - PS1: only where the server itself has said that it is at the other end. A pooler may hand each transaction to another of the
 *   server's connections, which does not know the statement; there, and for a pool, statements go as they are.
 * - PS2: only for statements whose text is always the same: a name in it (a staging table's) would leave a plan for each job.
 */
export function prepared(client: SqlClient): SqlClient {
  if (!DIRECT.has(client)) return client;
  const query = client.query.bind(client) as unknown as Named;
  return {
    query: ((text: string, values: unknown[] = []) =>
      query({ name: nameOf(text), text, values })) as unknown as SqlClient['query'],
  };
}

/** @param pid what the server says of its end of the connection */
export function noteConnection(client: object, pid: number): void {
  if ((client as { processID?: number | null }).processID === pid) DIRECT.add(client);
}

/** @param wrapper sends what it is given over `client` */
export function notePrepared(wrapper: object, client: object): void {
  if (DIRECT.has(client)) DIRECT.add(wrapper);
}

function nameOf(text: string): string {
  let name = NAMES.get(text);
  if (name === undefined) {
    name = `sluice_${hash('sha256', text, 'hex').slice(0, 32)}`;
    NAMES.set(text, name);
  }
  return name;
}
