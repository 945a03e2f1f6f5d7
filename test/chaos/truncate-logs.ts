import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a broker that was not running any more may have lost: the last bytes of a topic's segment files, which had
 * not been written to the disk. When it comes back, it drops what is not whole.
 * @param dataFolder `log.dirs` of a broker that does not run
 * @param share of the active segment's bytes, in every partition
 */
export function truncateLogs(dataFolder: string, topic: string, share: number): void {
  for (const folder of readdirSync(dataFolder)) {
    if (!isPartitionOf(folder, topic)) continue;
    const active = readdirSync(join(dataFolder, folder))
      .filter((file) => file.endsWith('.log'))
      .sort()
      .at(-1);
    if (active === undefined) continue;
    const file = join(dataFolder, folder, active);
    if (existsSync(file)) truncateSync(file, Math.floor(statSync(file).size * (1 - share)));
  }
}

function isPartitionOf(folder: string, topic: string): boolean {
  return folder.startsWith(`${topic}-`) && /^\d+$/.test(folder.slice(topic.length + 1));
}
