import { v7 as uuidv7 } from 'uuid';
import type { JobRepository } from '#core/job/job.repository.js';

/** A queued job whose source is an address with credentials. @returns its id */
export async function queueJob(
  jobs: JobRepository,
  dataset = 'things',
  secretUri = 'https://user:canary@example.test/a.csv',
): Promise<string> {
  const id = uuidv7();
  await jobs.create({
    id,
    dataset,
    mode: 'replace',
    source: { kind: 'http', display: 'https://example.test/a.csv', own: { trustedCaller: false } },
    secretUri,
    dryRun: false,
    limitRecords: null,
    maxRefusedShare: 0.05,
    maxShrinkShare: 0.2,
    options: {},
    contractVersion: 1,
  });
  return id;
}
