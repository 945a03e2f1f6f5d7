/** How much is handed over, and loaded in one transaction, at once. */
export interface GroupBounds {
  /** Key, headers and value. A group is closed before the message that would bring it above this; one larger message goes alone. */
  readonly maxGroupBytes: number;
  readonly maxGroupMessages: number;
}

/** Consecutive messages, in their order, in groups within the bounds. PURE. */
export function groupsWithin<T>(
  messages: readonly T[],
  { maxGroupBytes, maxGroupMessages }: GroupBounds,
  bytesOf: (message: T) => number,
): T[][] {
  const groups: T[][] = [];
  let open: T[] = [];
  let openBytes = 0;
  for (const message of messages) {
    const bytes = bytesOf(message);
    if (open.length > 0 && (open.length >= maxGroupMessages || openBytes + bytes > maxGroupBytes)) {
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
