import type { SluiceClient } from '../../client.js';
import type { CliContext } from '../context.js';
import { type Followed, followJob } from '../follow-job.js';
import { sayOn } from '../system.js';

/** Waits for a job that is over in moments: nothing of its progress is shown, only what holds the waiting up. */
export function followSilently(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
): Promise<Followed> {
  const nothing = (): void => undefined;
  const silent = { update: nothing, note: sayOn(context), stop: nothing };
  return followJob(client, id, silent, signal, context.waiting);
}
