import { createHash } from 'node:crypto';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { Finding } from '#core/finding/finding.js';
import type { DeadLetterKey } from '#core/repair/dead-letter-sums.js';
import { submissionOf } from '#core/repair/resubmitted-record.js';

/** A dead letter as the index stores it: its texts fit for `text` and `jsonb`, its bytes untouched. */
export interface StorableDeadLetter extends DeadLetter {
  readonly columns: readonly string[];
  /** Codes of the errors that refused the record, each once, in the findings' order. */
  readonly codes: readonly string[];
  /** Stands for `columns`, which are stored once for all dead letters that have the same. */
  readonly columnsId: string;
  /** The dead letter that was submitted again and has become this one. */
  readonly predecessor: DeadLetterKey | null;
}

/**
 * Neither `text` nor `jsonb` can hold NUL, and `jsonb` refuses lone surrogates: one such character in a
 * finding's words would fail the whole delivery, again and again. They become U+FFFD; the record's bytes do not. PURE.
 */
export function storableDeadLetter(
  letter: DeadLetter,
  columns: readonly string[] = letter.columns ?? [],
): StorableDeadLetter {
  const errors = letter.findings.filter(({ severity }) => severity === 'error');
  const submission = submissionOf(letter.dataset, letter.message);
  return {
    ...letter,
    ...storableColumns(columns),
    attempt: submission?.attempt ?? letter.attempt,
    predecessor: submission?.predecessor ?? null,
    codes: [...new Set(errors.map(({ code }) => code))],
    findings: letter.findings.map(storableFinding),
  };
}

/** By list: a job's dead letters share one (`decodeDeadLetter`), and hashing it took a tenth of the indexing. */
const columnsByList = new WeakMap<readonly string[], Pick<StorableDeadLetter, 'columns' | 'columnsId'>>();

function storableColumns(list: readonly string[]): Pick<StorableDeadLetter, 'columns' | 'columnsId'> {
  const known = columnsByList.get(list);
  if (known !== undefined) return known;
  const columns = list.map(storableText);
  const storable = { columns, columnsId: columnsId(columns) };
  columnsByList.set(list, storable);
  return storable;
}

/** Only these members: whatever else a producer wrote into a finding is not stored. */
function storableFinding({ code, field, message, severity }: Finding): Finding {
  return {
    code,
    field: field === null ? null : storableText(field),
    message: storableText(message),
    severity,
  };
}

/** The id of a list of column names, the same in every tracker: the first 128 bits of its SHA-256 as a UUID. */
export function columnsId(names: readonly string[]): string {
  const hex = createHash('sha256').update(JSON.stringify(names)).digest('hex').slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export function storableText(text: string): string {
  // Nearly every text has none: testing costs a quarter of replacing nothing.
  if (text.isWellFormed() && !text.includes('\0')) return text;
  return text.replace(/[\0\p{Surrogate}]/gu, '\u{FFFD}');
}
