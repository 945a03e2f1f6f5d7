import { STAGING_SCHEMA } from '../staging-names.js';
import type { Targets } from '../table-plan.js';
import type { ProblemQuery } from './problem-queries.js';

/**
 * Publications that would take the staging tables along. A subscriber of PostgreSQL's own stops for good at the first
 * row of a table that it does not have, and WAL is kept for it from then on; any other gets every row twice.
 */
export function publicationsOfStaging({ schema }: Pick<Targets, 'schema'>): ProblemQuery {
  return { sql: PUBLICATIONS, values: [STAGING_SCHEMA, schema] };
}

const PUBLICATIONS = `
  SELECT format('publication %I is FOR %s, so that subscribers stop at tables they do not have: publish by name or by '
                || 'schema instead (DROP PUBLICATION %1$I; CREATE PUBLICATION %1$I FOR TABLES IN SCHEMA %3$I)',
                p.pubname, CASE WHEN p.puballtables THEN 'ALL TABLES' ELSE 'TABLES IN SCHEMA ' || quote_ident($1) END, $2::text) AS problem
  FROM pg_publication p
  WHERE p.puballtables
     OR EXISTS (SELECT FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid
                WHERE s.pnpubid = p.oid AND n.nspname = $1)
  ORDER BY p.pubname`;
