/**
 * How deep lists and objects are nested: 0 for anything else, 1 for `{}`. By a list of its own, because what goes
 * down by calls ends at some thousand levels with an overflow of the stack.
 */
export function depthOf(value: unknown): number {
  let level: unknown[] = [value];
  for (let depth = 0; ; depth++) {
    const inner: unknown[] = [];
    let isNested = false;
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      isNested = true;
      for (const member of Object.values(item)) inner.push(member);
    }
    if (!isNested) return depth;
    level = inner;
  }
}
