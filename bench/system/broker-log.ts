import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** `sluice.<dataset>.<kind>-<partition>` and `sluice.status-0`. */
const PARTITION_FOLDER = /^sluice\.(?:[^.]+\.)?([a-z]+)-\d+$/;

/**
 * Bytes of the broker's log by kind of topic (`raw`, `clean`, `dead`, `status`): the sizes of its segment files, which
 * grow with what is appended.
 * @param data the broker's `log.dirs`
 */
export function brokerBytes(data: string): Record<string, number> {
  const bytes: Record<string, number> = {};
  for (const folder of readdirSync(data)) {
    const kind = PARTITION_FOLDER.exec(folder)?.[1];
    if (kind !== undefined) bytes[kind] = (bytes[kind] ?? 0) + segmentBytes(join(data, folder));
  }
  return bytes;
}

/** What was added; kinds without an addition are left out. */
export function addedBytes(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  const added = Object.entries(after).map(([kind, bytes]) => [kind, bytes - (before[kind] ?? 0)] as const);
  return Object.fromEntries(added.filter(([, bytes]) => bytes > 0));
}

function segmentBytes(folder: string): number {
  const segments = readdirSync(folder).filter((file) => file.endsWith('.log'));
  return segments.reduce((total, file) => total + statSync(join(folder, file)).size, 0);
}
