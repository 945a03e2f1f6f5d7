import type { Finding, Severity } from '../../finding/finding.js';
import type { RecordPlace } from '../record-walker.js';
import type { RefusedRecord, RefusedRecords } from '../verdict.js';

/** How much of a value a finding's message quotes. */
const SHOWN_CHARACTERS = 40;

/**
 * Findings of one record that are worded; all are counted. A JSON record of 256 KiB can have 80,000 elements
 * with an error each, and its dead letter must fit into a message.
 */
export const MAX_FINDINGS_A_RECORD = 100;

/** What a compiled check says when it is broken. PURE. */
export interface Complaint {
  readonly code: string;
  readonly severity: Severity;
  readonly word: (field: string, shown: string | null) => string;
  /** What is stored instead of the value, in words; undefined where the value stays or the record goes. */
  readonly instead: string | undefined;
  /** The value that is shown is words already: those of a rule across columns quote several. */
  readonly isQuoted?: true;
}

/**
 * The findings of the record that is being judged. Nothing is made for a record that has none, and words are made
 * only for records that are reported (`RefusalFacts`).
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

  /** Of a field with any value. */
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
    const shown = end === -1 ? null : shownOf(complaint, bytes, start, end);
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

/** A rule is broken, even if its words cannot be made: a dataset's own message that throws is no reason to stop a job. */
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

/** What a finding quotes. */
export function shownOf(complaint: Complaint, bytes: Buffer, start: number, end: number): string {
  return complaint.isQuoted === true ? bytes.toString('utf8', start, end) : show(bytes, start, end);
}

/** A value as a finding quotes it. */
export function show(bytes: Buffer, start: number, end: number): string {
  const head = bytes.toString('utf8', start, Math.min(end, start + MAX_SHOWN_BYTES));
  const characters = Array.from(head);
  const isWhole = characters.length <= SHOWN_CHARACTERS;
  return JSON.stringify(isWhole ? head : `${characters.slice(0, SHOWN_CHARACTERS).join('')}…`);
}

/** Numbers of one record in {@link RefusalFacts.places}. */
const NUMBERS = 8;
/** What one record and one finding take, with the room that arrays leave when they grow. */
const RECORD_BYTES = NUMBERS * 12;
const FINDING_BYTES = 3 * 12;
/** What a finding about a whole record takes besides its message. */
const DEFECT_BYTES = 200;

/**
 * Refused records as numbers beside each other. As objects that hold their bytes and know their findings, one took
 * 800 bytes: sixteen times a short record, and a batch has up to 20,000 of them (G9). PURE.
 */
export class RefusalFacts implements RefusedRecords {
  /**
   * For each record: number, line, byteStart, byteEnd, start and end in the batch, the end of its findings in the arrays
   * below, and how many more it has.
   */
  private readonly places: number[] = [];
  /** For each finding: what words it, or the finding itself where it is about the whole record. */
  private readonly reasons: (Complaint | Finding)[] = [];
  private readonly fields: string[] = [];
  /** Its value: null, a place in the batch (as `placeOf` says), or already quoted where it does not stand there. */
  private readonly values: (number | string | null)[] = [];
  /** Findings about whole records, by message: of a bad file most records have the same one. */
  private readonly defects = new Map<string, Finding>();
  private textBytes = 0;

  /** @param bytes of the batch */
  constructor(private readonly bytes: Buffer) {}

  get count(): number {
    return this.places.length / NUMBERS;
  }

  get heldBytes(): number {
    return this.count * RECORD_BYTES + this.reasons.length * FINDING_BYTES + this.textBytes;
  }

  /**
   * @param start where the record begins in the batch
   * @param broken those of its findings that are to be worded
   */
  add(place: RecordPlace, start: number, broken: readonly Broken[], unsaid: number): void {
    for (const { complaint, field, bytes, start: from, end: to } of broken) {
      this.reasons.push(complaint);
      this.fields.push(field);
      this.values.push(this.valueOf(complaint, bytes, from, to));
    }
    this.addPlace(place, start, unsaid);
  }

  /** The record as a whole is refused. */
  addWhole(place: RecordPlace, start: number, finding: Finding): void {
    const known = this.defects.get(finding.message);
    const isKnown = known !== undefined && known.code === finding.code && known.field === finding.field;
    if (!isKnown) {
      this.defects.set(finding.message, finding);
      this.textBytes += finding.message.length + DEFECT_BYTES;
    }
    this.reasons.push(isKnown ? known : finding);
    this.fields.push('');
    this.values.push(null);
    this.addPlace(place, start, 0);
  }

  *[Symbol.iterator](): Generator<RefusedRecord, void> {
    let from = 0;
    for (let at = 0; at < this.places.length; at += NUMBERS) {
      const [record = 0, line = 0, byteStart = 0, byteEnd = 0, start = 0, end = 0, to = 0, unsaid = 0] =
        this.places.slice(at, at + NUMBERS);
      const findings = this.findingsIn(from, to, unsaid);
      yield { record, line, byteStart, byteEnd, bytes: this.bytes.subarray(start, end), findings };
      from = to;
    }
  }

  private addPlace(
    { record, line, byteStart, byteEnd, bytes }: RecordPlace,
    start: number,
    unsaid: number,
  ): void {
    const end = start + bytes.length;
    this.places.push(record, line, byteStart, byteEnd, start, end, this.reasons.length, unsaid);
  }

  private findingsIn(from: number, to: number, unsaid: number): Finding[] {
    const findings: Finding[] = [];
    for (let at = from; at < to; at += 1) {
      const reason = this.reasons[at] as Complaint | Finding;
      const isLast = at === to - 1;
      if ('message' in reason) findings.push(reason);
      else findings.push(worded(reason, this.fields[at] ?? '', this.shown(at), isLast ? unsaid : 0));
    }
    return findings;
  }

  private valueOf(complaint: Complaint, bytes: Buffer, start: number, end: number): number | string | null {
    if (end === -1) return null;
    if (bytes === this.bytes) return placeOf(start, end);
    const shown = shownOf(complaint, bytes, start, end);
    this.textBytes += shown.length;
    return shown;
  }

  private shown(at: number): string | null {
    const value = this.values[at] ?? null;
    if (typeof value !== 'number') return value;
    const start = Math.floor(value / PLACE_STEP);
    return show(this.bytes, start, start + (value % PLACE_STEP));
  }
}

/** Start and length as one number: of a longer value nothing more is shown. */
const PLACE_STEP = 256;

function placeOf(start: number, end: number): number {
  return start * PLACE_STEP + Math.min(end - start, MAX_SHOWN_BYTES);
}
