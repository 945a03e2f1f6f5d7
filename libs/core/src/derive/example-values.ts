/**
 * Texts to try on the kinds and rules of a column, for generated files (`sample-values.ts`) and for the types of target
 * tables (`staging/checks/stored-samples.ts`). PURE. No kind has to say what it accepts: it is asked about these.
 */
import type { ColumnPlan } from '../record/compile/contract-plan.js';

/** One text each of the notations that files write. */
export const EXAMPLES = [
  ...[
    '7',
    '12.5',
    '0.01',
    'true',
    'Y',
    '2026-09-01',
    '08:30:00',
    '2026-09-01 08:30:00',
    '2026-09-01T08:30:00Z',
  ],
  ...['550e8400-e29b-41d4-a716-446655440000', '{"a":1}', '[1]'],
];

export const EXAMPLE_WORDS = ['alpha', 'bravo', 'Delta Road 4', 'echo', 'Foxtrot', 'golf', 'hotel', 'India'];

/** Texts that some column may accept where it accepts none of its notation's. */
export const EXAMPLE_CODES = ['false', 'N', '1', '0', '12,50', '1.234,50', '-1', 'EUR', 'A', 'TW'];

/** What PostgreSQL writes for a value of a type, whatever notation the source has. */
export const EXAMPLES_BY_TYPE: Readonly<Record<string, string>> = {
  smallint: '7',
  integer: '7',
  bigint: '7',
  numeric: '7',
  'double precision': '12.5',
  boolean: 'true',
  date: '2026-09-01',
  time: '08:30:00',
  timestamp: '2026-09-01 08:30:00',
  timestamptz: '2026-09-01 08:30:00+00',
  uuid: '550e8400-e29b-41d4-a716-446655440000',
  jsonb: '{"a":1}',
};

const FIRST_DAY = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** Notations that have a different text for each number N from 0. */
export const NUMBERED_EXAMPLES: readonly ((n: number) => string)[] = [
  (n) => String(n + 1),
  ...[2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16].map(
    (digits) => (n: number) => String(n + 1).padStart(digits, '0'),
  ),
  (n) => `00000000-0000-4000-8000-${(n + 1).toString(16).padStart(12, '0')}`,
  (n) => `${n + 1}.50`,
  (n) => dateOf(n),
  (n) => dateOf(n).split('-').reverse().join('/'),
  (n) => dateOf(n).split('-').reverse().join('.'),
  (n) => dateOf(n).replaceAll('-', ''),
  (n) => momentOf(n).toISOString(),
  (n) => momentOf(n).toISOString().slice(0, 19).replace('T', ' '),
  (n) => momentOf(n).toISOString().slice(0, 16).replace('T', ' '),
  (n) => momentOf(n).toISOString().slice(0, 19),
  (n) => momentOf(n).toISOString().slice(11, 19),
  (n) => `K${n + 1}`,
  (n) => letters(n, 2),
  (n) => letters(n, 3),
  (n) => `user${n + 1}@example.com`,
  (n) => `https://example.com/${n + 1}`,
  (n) => `{"n":${n + 1}}`,
  (n) => `[${n + 1}]`,
  (n) => `["v${n + 1}"]`,
];

/** Whether the kind and the rules on this column alone accept a text. Throws what code of the dataset throws. */
export function acceptsOf({ checks }: Pick<ColumnPlan, 'checks'>): (text: string) => boolean {
  const asked = checks.filter(({ judges }) => judges === 'value' || judges === 'any');
  return (text) => asked.every(({ accepts }) => accepts(text));
}

function momentOf(n: number): Date {
  return new Date(FIRST_DAY + (n % 300) * DAY_MS + (n % 1440) * 60_000);
}

function dateOf(n: number): string {
  return momentOf(n).toISOString().slice(0, 10);
}

function letters(n: number, count: number): string {
  let rest = n;
  let text = '';
  for (let at = 0; at < count; at += 1) {
    text = String.fromCharCode(65 + (rest % 26)) + text;
    rest = Math.floor(rest / 26);
  }
  return text;
}
