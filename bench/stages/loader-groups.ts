/** What a loader's transaction takes at most; as in `apps/loader/src/loader.module.ts`. */
export const MAX_GROUP_BYTES = 4 * 1024 * 1024;
export const MAX_GROUP_MESSAGES = 64;

/** Consecutive messages, as the batch transport hands them over. */
export function groupsOf<T>(messages: readonly T[], bytesOf: (message: T) => number): T[][] {
  const groups: T[][] = [];
  let open: T[] = [];
  let openBytes = 0;
  for (const message of messages) {
    const bytes = bytesOf(message);
    const isFull = open.length >= MAX_GROUP_MESSAGES || openBytes + bytes > MAX_GROUP_BYTES;
    if (open.length > 0 && isFull) {
      groups.push(open);
      open = [];
      openBytes = 0;
    }
    open.push(message);
    openBytes += bytes;
  }
  if (open.length > 0) groups.push(open);
  return groups;
}
