/**
 * How deep lists and objects are nested: 0 for anything else, 1 for `{}`. With an explicit list, because recursion
 * overflows the call stack at some thousand levels.
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
