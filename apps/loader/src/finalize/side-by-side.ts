/**
 * Works through the items in their order, N at a time.
 * Waits for all that has begun, also when one fails: no work may continue after this returns.
 */
export async function sideBySide<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, place: number) => Promise<void>,
): Promise<void> {
  const queue = [...items.entries()];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [place, item] = next;
      await work(item, place);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
