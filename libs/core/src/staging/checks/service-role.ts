import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/** As whom the loader works, which is not as whom a job is started where every service has a role of its own. */
export interface LoaderRole {
  readonly oid: number;
  readonly name: string;
}

/** The loader says at its start as whom it works: the ingestor checks rights before a job begins. */
export async function noteServiceRole(client: SqlClient, service: 'loader'): Promise<void> {
  await client.query(
    `INSERT INTO sluice.service_role (service, role) VALUES ($1, current_user)
     ON CONFLICT (service) DO UPDATE SET role = excluded.role WHERE service_role.role <> excluded.role`,
    [service],
  );
}

/** The loader's role, or our own before any loader has said one. */
export async function loaderRole(client: SqlClient): Promise<LoaderRole> {
  const { rows } = await prepared(client).query<LoaderRole & { noted: boolean }>(
    `SELECT r.oid, r.rolname AS name, r.rolname <> current_user AS noted FROM pg_roles r
     WHERE r.rolname = current_user
        OR r.rolname = (SELECT role FROM sluice.service_role WHERE service = 'loader')
     ORDER BY noted DESC`,
  );
  return rows[0] ?? { oid: 0, name: 'unknown' };
}
