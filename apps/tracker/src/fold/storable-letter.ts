import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { Finding } from '#core/record/finding.js';

/** A dead letter as the index stores it: its texts fit for `text` and `jsonb`, its bytes untouched. */
export interface StorableLetter extends DeadLetter {
  /** Codes of the errors that refused the record, each once, in the findings' order. */
  readonly codes: readonly string[];
}

/**
 * Neither `text` nor `jsonb` can hold NUL, and `jsonb` refuses lone surrogates: one such character in a
 * finding's words would fail the whole delivery, for ever. They become U+FFFD; the record's bytes do not. PURE.
 */
export function storableLetter(letter: DeadLetter): StorableLetter {
  const errors = letter.findings.filter(({ severity }) => severity === 'error');
  return {
    ...letter,
    codes: [...new Set(errors.map(({ code }) => code))],
    findings: letter.findings.map(storableFinding),
    columns: letter.columns.map(storableText),
  };
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

export function storableText(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, '\u{FFFD}');
}
