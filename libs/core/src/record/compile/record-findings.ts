import type { Finding, Severity } from '../finding.js';

/** How much of a value a finding's message quotes. */
const SHOWN_CHARACTERS = 40;

/**
 * Findings of one record that are worded; all are counted. A JSON record of 256 KiB can have 80,000 elements
 * with an error each, and its letter must fit into a message.
 */
export const MAX_FINDINGS_A_RECORD = 100;

/** What a compiled check says when it is broken. PURE. */
export interface Complaint {
  readonly code: string;
  readonly severity: Severity;
  readonly word: (field: string, shown: string | null) => string;
  /** What is stored instead of the value, in words; undefined where the value stays or the record goes. */
  readonly instead: string | undefined;
}

/**
 * The findings of the record that is being judged. Nothing is made for a record that has none, and words are made
 * only for records that are told about (`refused-records.ts`).
 */
export class RecordFindings {
  errors = 0;
  private broken: Broken[] = [];

  get count(): number {
    return this.broken.length;
  }

  clear(): void {
    if (this.broken.length > 0) this.broken = [];
    this.errors = 0;
  }

  /** @param end -1: the value is null */
  add(complaint: Complaint, field: string, bytes: Buffer, start: number, end: number): void {
    this.broken.push({ complaint, field, bytes, start, end });
    if (complaint.severity === 'error') this.errors += 1;
  }

  /** Of a field, whatever its value. */
  addAbout(complaint: Complaint, field: string): void {
    this.add(complaint, field, NOTHING, 0, -1);
  }

  complaints(): readonly Complaint[] {
    return this.broken.map(({ complaint }) => complaint);
  }

  /** Those that are to be worded, in order: of more than {@link MAX_FINDINGS_A_RECORD} the first ones, errors before warnings. */
  chosen(): readonly Broken[] {
    const { broken } = this;
    if (broken.length <= MAX_FINDINGS_A_RECORD) return broken;
    const bySeverity = (severity: Severity): Broken[] =>
      broken.filter(({ complaint }) => complaint.severity === severity);
    return [...bySeverity('error'), ...bySeverity('warning')].slice(0, MAX_FINDINGS_A_RECORD);
  }
}

/** A check that a record breaks, and the value that breaks it: [start, end) of bytes that last as long as the record is judged. */
export interface Broken {
  readonly complaint: Complaint;
  readonly field: string;
  readonly bytes: Buffer;
  readonly start: number;
  /** -1: the value is null, or does not matter. */
  readonly end: number;
}

/** The words of findings while their values last. */
export function wordsOf(chosen: readonly Broken[], unsaid: number): Finding[] {
  return chosen.map(({ complaint, field, bytes, start, end }, at) => {
    const shown = end === -1 ? null : show(bytes, start, end);
    return worded(complaint, field, shown, at === chosen.length - 1 ? unsaid : 0);
  });
}

/** @param unsaid how many findings the record has that are not worded; above 0 only for the last one that is */
export function worded(complaint: Complaint, field: string, shown: string | null, unsaid: number): Finding {
  const { code, severity, instead } = complaint;
  let message = wordOf(complaint, field, shown);
  if (instead !== undefined) message += `; stored as ${instead}`;
  if (unsaid > 0) message += `; the record has ${unsaid} more findings`;
  return { code, field, message, severity };
}

/** A rule is broken, whatever becomes of its words: a dataset's own message that throws is no reason to stop a job. */
function wordOf({ word, code }: Complaint, field: string, shown: string | null): string {
  try {
    return word(field, shown);
  } catch {
    return `${field} breaks the rule ${code}, whose message cannot be made`;
  }
}

const NOTHING = Buffer.alloc(0);

/** More than this of a value makes no difference to what is shown of it. */
export const MAX_SHOWN_BYTES = SHOWN_CHARACTERS * 4 + 4;

/** A value as a finding quotes it. */
export function show(bytes: Buffer, start: number, end: number): string {
  const head = bytes.toString('utf8', start, Math.min(end, start + MAX_SHOWN_BYTES));
  const characters = Array.from(head);
  const isWhole = characters.length <= SHOWN_CHARACTERS;
  return JSON.stringify(isWhole ? head : `${characters.slice(0, SHOWN_CHARACTERS).join('')}…`);
}
