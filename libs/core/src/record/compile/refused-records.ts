import type { Finding } from '../finding.js';
import type { RecordPlace } from '../record-walker.js';
import type { RefusedRecord, RefusedRecords } from '../verdict.js';
import { type Broken, type Complaint, MAX_SHOWN_BYTES, show, worded } from './record-findings.js';

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
      this.values.push(this.valueOf(bytes, from, to));
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

  private valueOf(bytes: Buffer, start: number, end: number): number | string | null {
    if (end === -1) return null;
    if (bytes === this.bytes) return placeOf(start, end);
    const shown = show(bytes, start, end);
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
