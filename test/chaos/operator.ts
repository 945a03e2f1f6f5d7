import type { JobState } from '#api/job-words.js';
import type { JobRequest } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import type { System } from '../support/system.js';
import type { ChaosDatabase } from './chaos-database.js';

const INGESTORS = ['ingestor', 'ingestor-2'];
/** The ingestor is away, or the database is for it, or the job has changed since it was looked at. */
const PASSING = [
  'SYSTEM_UNREACHABLE',
  'INTERNAL',
  'JOB_ACTIVE',
  'JOB_TRANSITION_REFUSED',
  'JOB_NOTHING_TO_RESUME',
];

type Verb = 'cancel' | 'pause' | 'continue' | 'resume';
const COMMANDS: Readonly<Record<Verb, (client: SluiceClient, id: string) => Promise<unknown>>> = {
  cancel: (client, id) => client.cancelJob(id),
  pause: (client, id) => client.pauseJob(id),
  continue: (client, id) => client.continueJob(id),
  resume: (client, id) => client.resumeJob(id, {}),
};

/**
 * An operator who does not give up: each command goes to one ingestor after the other until one answers. A command
 * whose answer was lost may have been obeyed, so what it was to bring about is looked up before it is given again.
 */
export class Operator {
  private turn = 0;

  constructor(
    private readonly system: System,
    private readonly database: ChaosDatabase,
  ) {}

  /** Null when no ingestor took the job now. */
  async start(request: JobRequest, after: string): Promise<string | null> {
    const taken = await this.database.rowsOrNull<{ id: string }>(
      'SELECT id FROM sluice.job WHERE id > $1 AND stream IS NULL ORDER BY id LIMIT 1',
      [after],
    );
    if (taken === null) return null;
    if (taken[0] !== undefined) return taken[0].id;
    return this.ask(async (client) => (await client.startJob(request)).id);
  }

  /**
   * @param done the states in which the command has been obeyed
   * @returns true when it has
   */
  async command(verb: Verb, id: string, done: readonly JobState[]): Promise<boolean> {
    const job = await this.database.job(id);
    if (job === null) return false;
    if (done.includes(job.state)) return true;
    return (await this.ask((client) => COMMANDS[verb](client, id))) !== null;
  }

  /** Resumes a job that says which of its batches are missing. */
  async resumeMissing(id: string): Promise<void> {
    const job = await this.database.job(id);
    if ((job?.problem as { code?: string } | null)?.code !== 'BATCHES_MISSING') return;
    await this.ask((client) => client.resumeJob(id, {}));
  }

  /** @returns null when the caller has to ask again */
  private async ask<T>(work: (client: SluiceClient) => Promise<T>): Promise<T | null> {
    const name = INGESTORS[this.turn++ % INGESTORS.length] ?? '';
    const { trackerUrl, token } = this.system;
    try {
      return await work(new SluiceClient({ ingestorUrl: this.system.urlOf(name), trackerUrl, token }));
    } catch (error) {
      if (error instanceof SluiceError && (error.retryable || PASSING.includes(error.code))) return null;
      throw error;
    }
  }
}
