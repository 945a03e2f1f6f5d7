import {
  type CheckReason,
  type DeadLetterCheck,
  type DeadLettersEdited,
  MAX_EXAMPLES,
  MAX_PROBLEM_IDS,
  UNKNOWN_TO_A_CHECK,
} from '#api/dead-letter-edits.js';

const NOTHING_CHECKED: DeadLetterCheck = {
  ...{ checked: 0, passing: 0, refused: 0, unsendable: 0 },
  ...{ reasons: [], unsendableReasons: [], unknown: UNKNOWN_TO_A_CHECK },
};

export const NOTHING_EDITED: DeadLettersEdited = {
  ...{ action: null, dryRun: false, edited: 0, removed: 0, unchanged: 0 },
  ...{ problems: [], warnings: [], check: NOTHING_CHECKED },
};

/** The answers to two pages as one. PURE. */
export function addAnswers(sum: DeadLettersEdited, page: DeadLettersEdited): DeadLettersEdited {
  return {
    action: page.action ?? sum.action,
    dryRun: page.dryRun,
    edited: sum.edited + page.edited,
    removed: sum.removed + page.removed,
    unchanged: sum.unchanged + page.unchanged,
    problems: merged([...sum.problems, ...page.problems], (a, b) => ({
      ...a,
      count: a.count + b.count,
      ids: [...a.ids, ...b.ids].slice(0, MAX_PROBLEM_IDS),
    })),
    warnings: merged([...sum.warnings, ...page.warnings], withMore),
    check: addChecks(sum.check, page.check),
  };
}

function addChecks(sum: DeadLetterCheck, page: DeadLetterCheck): DeadLetterCheck {
  return {
    checked: sum.checked + page.checked,
    passing: sum.passing + page.passing,
    refused: sum.refused + page.refused,
    unsendable: sum.unsendable + page.unsendable,
    reasons: merged<CheckReason>([...sum.reasons, ...page.reasons], withMore),
    unsendableReasons: merged<CheckReason>([...sum.unsendableReasons, ...page.unsendableReasons], withMore),
    unknown: page.unknown,
  };
}

function withMore<T extends { readonly count: number; readonly examples: readonly string[] }>(a: T, b: T): T {
  return { ...a, count: a.count + b.count, examples: [...a.examples, ...b.examples].slice(0, MAX_EXAMPLES) };
}

/** By code and field, the most frequent first. */
function merged<T extends { readonly code: string; readonly field: string | null; readonly count: number }>(
  items: readonly T[],
  add: (a: T, b: T) => T,
): T[] {
  const byKey = new Map<string, T>();
  for (const item of items) {
    const key = JSON.stringify([item.code, item.field]);
    const known = byKey.get(key);
    byKey.set(key, known === undefined ? item : add(known, item));
  }
  return [...byKey.values()].sort((a, b) => b.count - a.count);
}
