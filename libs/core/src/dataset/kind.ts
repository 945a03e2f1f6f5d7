/**
 * What a kind is: how a cleaned value becomes the text that PostgreSQL reads for its column type. PURE.
 *
 * A kind, like a rule (`rules.ts`), has a plain way on strings, which is its definition, and optional
 * twins on bytes for the way of every record. Both ways give the same for every well-formed string.
 */
import { SluiceError } from '#common/errors/sluice-error.js';

/** Where a kind writes an accepted value: the COPY text of its row (`record/copy-text.ts`). */
export interface ValueWriter {
  /** Bytes that COPY may have to escape. */
  value(source: Uint8Array, start: number, end: number): void;
  /** Bytes that need no escape: digits, or what was escaped before. */
  raw(source: Uint8Array, start?: number, end?: number): void;
  /** ASCII characters that need no escape. */
  ascii(text: string): void;
}

export interface Kind {
  /** Also the name of its constraint in class-validator. */
  readonly name: string;
  /**
   * The PostgreSQL type of its column in derived tables: `text`, `varchar(40)`, `numeric(12,2)`, `date`, `text[]`. Rules
   * across columns go by it too: they compare and add what its text means.
   */
  readonly columnType: string;
  /** SQL of a CHECK for derived tables. @param column as SQL, quoted where it has to be */
  check?(column: string): string;
  /** Whether the cleaned value is one of this kind. */
  accepts(value: string): boolean;
  acceptsBytes?(bytes: Uint8Array, start: number, end: number): boolean;
  /** Every text is of this kind. */
  readonly acceptsAll?: true;
  /** What is demanded, to follow the field's name: `must be a calendar date`. */
  readonly message: string;
  /** Values of the kind, for generated files, where guesses would hardly find one. */
  readonly examples?: readonly string[];
  /** The finding's code where the column names none; default `INVALID_VALUE`. */
  readonly code?: string;
  /** An accepted value as PostgreSQL shall read it, before COPY's escapes. Left out: the value as it is. */
  toText?(value: string): string;
  /** The twin of `toText`: writes an accepted value, escaped, to the COPY text. */
  write?(bytes: Uint8Array, start: number, end: number, out: ValueWriter): void;
  /**
   * `json`: in NDJSON the kind gets the value's own JSON text, uncleaned (a string keeps its quotes).
   * `text` (default): it gets a string's characters, or the JSON text of a number or boolean, cleaned;
   * objects and arrays are not of the kind.
   */
  readonly reads?: 'text' | 'json';
  /** What NDJSON takes in place of this kind, where the two formats write such values differently (`arrayOf`). */
  readonly inJson?: Kind;
  /**
   * In NDJSON: a number as the kind takes it, where it is written with an exponent (or, with `whole`, a fraction) and is
   * exactly such a value: `1.5e1` is 15. What is not, is returned unchanged. Module-level, so that kinds share it.
   */
  readonly plainNumber?: { readonly whole: boolean; readonly of: (number: string) => string };
}

/** A kind as a dataset writes it: `columnType` may be left out, and is `text` then. */
export type KindDefinition = Omit<Kind, 'columnType'> & { readonly columnType?: string };

/** Gives a kind its name in contracts; a dataset may bring its own, e.g. a date of another calendar. */
export function defineKind(kind: KindDefinition): Kind {
  if (kind.columnType !== undefined) return kind as Kind;
  const withPrototype = Object.create(Object.getPrototypeOf(kind) as object) as object;
  return Object.assign(withPrototype, kind, { columnType: 'text' });
}

/** Stops a dataset whose kind is made with options that cannot be. @param kind as written: `numeric` */
export function kindInvalid(kind: string, problem: string): SluiceError {
  return new SluiceError('DATASET_INVALID', `The kind ${kind} cannot be made: ${problem}.`);
}

/** Whether all of [start, end) are ASCII digits; true of nothing. */
export function areDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) return false;
  }
  return true;
}

/** Code points in well-formed UTF-8: every byte that does not continue another one. */
export function countCharacters(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) {
    if (((bytes[at] ?? 0) & 0xc0) !== 0x80) count += 1;
  }
  return count;
}

export function equalBytes(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let at = 0; at < other.length; at += 1) {
    if (bytes[start + at] !== other[at]) return false;
  }
  return true;
}

/** The string of the UTF-8 bytes [start, end). */
export function decode(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}
