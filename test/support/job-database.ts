import type { DataSource } from 'typeorm';
import { JobRepository } from '#core/job/job.repository.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { type TestDatabase, startMigratedDatabase } from './postgres.js';

/** Control tables on a real server, and who reads and writes jobs in them. */
export interface JobDatabase {
  readonly server: TestDatabase;
  readonly database: DataSource;
  readonly jobs: JobRepository;
  readonly operator: OperatorRepository;
  /** For the next test. */
  forgetJobs(): Promise<void>;
  stop(): Promise<void>;
}

/** A database of its own with all control tables and no dataset. */
export async function startJobDatabase(): Promise<JobDatabase> {
  const server = await startMigratedDatabase();
  const database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
  return {
    server,
    database,
    jobs: new JobRepository(database),
    operator: new OperatorRepository(database),
    forgetJobs: async () => {
      await database.query('TRUNCATE sluice.job CASCADE');
    },
    stop: async () => {
      await database.destroy();
      await server.stop();
    },
  };
}
