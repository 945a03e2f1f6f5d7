import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { queueJob } from '#test/support/queued-job.js';
import { SourceCredentials1700000000009 } from '../schema/migrations/0009-source-credentials.js';

const SECRET = 'https://user:canary@example.test/a.csv?sig=canary';

/** What the loaders erase is in finalizer.medium-spec.ts and leftovers.medium-spec.ts. */
describe('the credentials of a source', () => {
  let base: JobDatabase;
  let database: JobDatabase['database'];
  let jobs: JobDatabase['jobs'];
  let operator: JobDatabase['operator'];

  beforeAll(async () => {
    base = await startJobDatabase();
    ({ database, jobs, operator } = base);
  });

  afterAll(() => base.stop());

  beforeEach(() => base.forgetJobs());

  const queued = (dataset?: string): Promise<string> => queueJob(jobs, dataset, SECRET);

  const secretOf = async (id: string): Promise<string | undefined> => (await jobs.load(id)).secretUri;

  async function failed(isResumable: boolean): Promise<string> {
    const id = await queued();
    const claim = await jobs.claimNext('one');
    if (claim === null) throw new Error('nothing to claim');
    await jobs.fail(claim, { code: 'SOURCE_TRUNCATED', message: 'm', action: 'a' }, isResumable);
    return id;
  }

  it('stay while the job may be resumed', async () => {
    const id = await failed(true);
    expect(await secretOf(id)).toBe(SECRET);
    await operator.resume(id);
    expect(await secretOf(id)).toBe(SECRET);
  });

  it('go when the job fails for good', async () => {
    expect(await secretOf(await failed(false))).toBe('');
  });

  it('go when a failed job is discarded', async () => {
    const id = await failed(true);
    await operator.discard(id);
    expect(await secretOf(id)).toBe('');
  });

  it('go when the job is cancelled', async () => {
    const id = await queued();
    await operator.cancel(id);
    expect(await secretOf(id)).toBe('');
  });

  it('of jobs that ended under an older version go with the migration, those of others stay', async () => {
    const ids: Record<string, string> = {};
    for (const [name, set] of [
      ['succeeded', `state = 'succeeded', resumable = false, finished_at = now()`],
      ['cancelled', `state = 'cancelled', resumable = false, finished_at = now()`],
      ['given up', `state = 'failed', resumable = false, finished_at = now()`],
      ['failed', `state = 'failed', finished_at = now()`],
      ['paused', `state = 'paused', pause_reason = 'operator'`],
      ['queued', `state = 'queued'`],
    ] as const) {
      ids[name] = await queued(name);
      await database.query(`UPDATE sluice.job SET ${set} WHERE id = $1`, [ids[name]]);
    }
    await new SourceCredentials1700000000009().up(database.createQueryRunner());
    const left = await database.query<{ dataset: string }[]>(
      `SELECT dataset FROM sluice.job WHERE secret_uri <> '' ORDER BY dataset`,
    );
    expect(left.map(({ dataset }) => dataset)).toEqual(['failed', 'paused', 'queued']);
  });
});
