import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobRequest } from '#core/job/job-view.js';
import { SluiceClient } from '../../apps/cli/src/client.js';
import type { System } from '../support/system.js';
import type { ChaosDatabase } from './chaos-database.js';

const INGESTORS = ['ingestor', 'ingestor-2'];

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

  /** Null when nobody took the job now. */
  async start(request: JobRequest, after: string): Promise<string | null> {
    const taken = await this.database.rowsOrNull<{ id: string }>(
      'SELECT id FROM sluice.job WHERE id > $1 ORDER BY id LIMIT 1',
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
  async command(
    verb: 'cancel' | 'pause' | 'continue' | 'resume',
    id: string,
    done: readonly string[],
  ): Promise<boolean> {
    const job = await this.database.job(id);
    if (job === null) return false;
    if (done.includes(job.state)) return true;
    return (await this.ask((_, url) => post(`${url}/jobs/${id}/${verb}`, this.system.token))) ?? false;
  }

  private async ask<T>(work: (client: SluiceClient, ingestorUrl: string) => Promise<T>): Promise<T | null> {
    const name = INGESTORS[this.turn++ % INGESTORS.length] ?? '';
    const ingestorUrl = this.system.urlOf(name);
    const { trackerUrl, token } = this.system;
    try {
      return await work(new SluiceClient({ ingestorUrl, trackerUrl, token }), ingestorUrl);
    } catch (error) {
      if (error instanceof SluiceError && !['SYSTEM_UNREACHABLE', 'JOB_ACTIVE'].includes(error.code)) {
        if (!error.retryable && error.code !== 'INTERNAL') throw error;
      }
      return null;
    }
  }
}

/** @returns true when it was obeyed, null when somebody has to ask again */
async function post(url: string, token: string): Promise<true | null> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: '{}',
    signal: AbortSignal.timeout(20_000),
  });
  const text = await answer.text();
  if (answer.ok) return true;
  // The job may have gone on since it was looked at, or the database be away.
  if (answer.status === 409 || answer.status >= 500) return null;
  throw new RangeError(`${url} answered ${answer.status}: ${text}`);
}
