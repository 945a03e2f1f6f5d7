import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { RunJson } from '../../apps/cli/src/render/run-json.js';

/**
 * Seconds count only where every record is accounted for: the sums add up, the tables hold what was loaded, and each
 * refused record has a dead letter with a reason.
 * @param expected records of the source, and rows of the table if they are not the loaded ones
 * @throws SluiceError INTERNAL with all that does not hold
 */
export async function assertExplained(
  database: Pick<pg.Client, 'query'>,
  { job, counts }: Pick<RunJson, 'job' | 'counts'>,
  expected: { readonly read: number; readonly businesses?: number },
): Promise<void> {
  const { rows: found } = await database.query<{ letters: string; unexplained: string; businesses: string }>(
    `SELECT count(*) AS letters, count(*) FILTER (WHERE codes = '{}') AS unexplained,
       (SELECT count(*) FROM public.tax_registration) AS businesses
     FROM sluice.dead_letter WHERE job = $1`,
    [job],
  );
  const { letters, unexplained, businesses } = found[0] ?? { letters: 0, unexplained: 0, businesses: 0 };
  const { read, loaded, refused, skipped, superseded } = counts;
  const wanted = expected.businesses ?? loaded;
  const problems = [
    ...(read === expected.read ? [] : [`${read} records were read of ${expected.read}`]),
    ...(read === loaded + refused + skipped + superseded
      ? []
      : [`the sums do not add up: ${JSON.stringify(counts)}`]),
    ...(Number(letters) === refused ? [] : [`${letters} dead letters for ${refused} refused records`]),
    ...(Number(unexplained) === 0 ? [] : [`${unexplained} dead letters without a reason`]),
    ...(Number(businesses) === wanted ? [] : [`${businesses} rows in the table instead of ${wanted}`]),
  ];
  if (problems.length > 0) throw new SluiceError('INTERNAL', `Job ${job}: ${problems.join('; ')}.`);
}
