import type { JobRequest } from '#api/jobs.js';
import type { SluiceClient } from '../client.js';
import { PROGRAM } from '../render/program-name.js';
import type { CliContext } from './context.js';

/**
 * Says before a `replace` that a stream of the dataset is active: what it has merged and the file does not hold is gone with the
 * old table, and while a job of it is active the replacement is refused. It warns and does not refuse: a stream that is fed from
 * the same source is meant to be corrected in this way.
 */
export async function warnOfStream(
  context: CliContext,
  client: SluiceClient,
  { dataset, mode, dryRun }: JobRequest,
): Promise<void> {
  if (mode !== 'replace' || dryRun === true) return;
  // An ingestor that cannot be asked cannot start the job either, and says why.
  const streams = await client.streams().catch(() => []);
  const stream = streams.find((one) => one.dataset === dataset);
  if (stream === undefined || stream.state === 'stopped') return;
  context.stderr.write(
    `warning: the stream of ${dataset} is ${stream.state}. Rows that it has merged, and that the new source does not hold, go with the old table.\n` +
      `  First load what has arrived, and stop it: ${PROGRAM} stream ${dataset} drain\n` +
      `  Start it again afterwards: ${PROGRAM} stream ${dataset} start\n`,
  );
}
