import type { DeadLetterSelection } from './dead-letters.js';

/** Corrections of dead letters, and what would become of them: `POST /dead-letters/edits`, `/fix`, `/import` and `/check`. */

/** What the next resubmission would do with dead letters, as far as it can be known beforehand. */
export interface DeadLetterCheck {
  readonly checked: number;
  /** That the contract of this build accepts. The loader may still refuse some of them: see `unknown`. */
  readonly passing: number;
  /** That would be refused again, or hold nothing that is loaded. */
  readonly refused: number;
  /** That cannot be sent. */
  readonly unsendable: number;
  /** Of refused ones: every error, the most frequent first, at most MAX_CHECK_REASONS. */
  readonly reasons: readonly CheckReason[];
  /** Of those that cannot be sent: why. */
  readonly unsendableReasons: readonly CheckReason[];
  /** What only the loader can say, so that no check knows it. */
  readonly unknown: readonly string[];
}

export interface CheckReason {
  readonly code: string;
  /** The source's name of the field, `[]` for places in arrays; null when the whole record is meant. */
  readonly field: string | null;
  readonly count: number;
  /** Ids of the first ones, at most MAX_EXAMPLES. */
  readonly examples: readonly string[];
}

export const MAX_CHECK_REASONS = 100;
export const MAX_EXAMPLES = 3;

/** What no check knows. */
export const UNKNOWN_TO_A_CHECK: readonly string[] = [
  'duplicates',
  'foreign keys',
  'unique keys',
  'references',
];

/** Body of `POST /dead-letters/check`: exactly one of `ids`, `group` and `filter`. */
export interface CheckDeadLetters extends DeadLetterSelection {
  /** Takes parked ones as well. */
  readonly force?: boolean;
}

/** Answer of `POST /dead-letters/check`. */
export interface DeadLettersChecked {
  readonly check: DeadLetterCheck;
  /** Of `ids`: that are not open; they are not checked. */
  readonly decided: readonly string[];
  /** Of `ids`: that no dead letter has. */
  readonly unknown: readonly string[];
}

/** Body of `POST /dead-letters/edits`: at most MAX_EDITS corrections, each of a dead letter of its own. */
export interface EditDeadLetters extends WrittenChange {
  readonly edits: readonly DeadLetterEdit[];
}

/** Exactly one of `record`, `recordBase64` and `remove`. */
export interface DeadLetterEdit {
  /** `<job>:<record>` */
  readonly id: string;
  /** The corrected record: one of the dataset's format, without line end. */
  readonly record?: string;
  readonly recordBase64?: string;
  /** Takes the correction back. */
  readonly remove?: boolean;
  /** `action` of the correction that was looked at, or null when there was none; another one is a problem (`CHANGED`). */
  readonly base?: string | null;
}

/** What every change of dead letters says. */
export interface WrittenChange {
  readonly reason?: string;
  /** Who asks, as far as the client knows. */
  readonly by?: string;
  /** Validates and counts, and changes nothing. */
  readonly dryRun?: boolean;
}

export const MAX_EDITS = 1_000;

/** Body of `POST /dead-letters/fix`: exactly one of `ids`, `group` and `filter`; at least one change, made in order, `set` first. */
export interface FixDeadLetters extends DeadLetterSelection, WrittenChange {
  readonly set?: readonly FieldSet[];
  readonly replace?: readonly FieldReplace[];
}

export interface FieldSet {
  /** As findings name it. */
  readonly field: string;
  /** Null: the format's null, or nothing where it has none. */
  readonly value: string | null;
}

export interface FieldReplace {
  readonly field: string;
  /** A regular expression of ECMAScript, with the flag `u`. */
  readonly pattern: string;
  /** Of `g`, `i`, `m` and `s`; the first match is replaced without `g`. */
  readonly flags?: string;
  /** May hold `$1`, `$<name>` and `$&`. */
  readonly replacement: string;
}

export const MAX_CHANGES = 20;

/** Answer of `POST /dead-letters/edits`, `/fix` and `/import`. */
export interface DeadLettersEdited {
  /** Its entry in `GET /repair-actions`; null for a dry run. */
  readonly action: string | null;
  readonly dryRun: boolean;
  /** That have a new correction now, or would have. */
  readonly edited: number;
  /** Whose correction was taken back, because it is the record as it came. */
  readonly removed: number;
  /** That are as they were. */
  readonly unchanged: number;
  /** That were left alone, and why; the most frequent reason first. */
  readonly problems: readonly EditProblem[];
  /** Of imported values: what a spreadsheet has made of them, probably. They are taken all the same. */
  readonly warnings: readonly DamageWarning[];
  /** Of the edited ones. */
  readonly check: DeadLetterCheck;
}

/**
 * `UNKNOWN`: no dead letter has the id. `DECIDED`: it is not open. `DUPLICATE`: the id stands there before. `CHANGED`: another request
 * has corrected it meanwhile. `NO_RECORD`: nothing says what
 * the record is to be. `DATASET_UNKNOWN`: this build has no such dataset. Others: why it cannot be corrected so.
 */
export const EDIT_PROBLEMS = [
  'UNKNOWN',
  'DECIDED',
  'DUPLICATE',
  'CHANGED',
  'NO_RECORD',
  'DATASET_UNKNOWN',
  'NOT_ONE_RECORD',
  'SKIPPED_LINE',
  'TOO_LARGE',
  'MALFORMED',
  'FIELD_UNKNOWN',
  'FIELD_AMBIGUOUS',
  'VALUE_UNWRITABLE',
  'TWO_CORRECTIONS',
] as const;
export type EditProblemCode = (typeof EDIT_PROBLEMS)[number];

export interface EditProblem {
  readonly code: EditProblemCode;
  readonly message: string;
  readonly field: string | null;
  readonly count: number;
  /** Of the first ones, at most MAX_PROBLEM_IDS: of ids that were named, nearly always all. */
  readonly ids: readonly string[];
}

export const MAX_PROBLEM_IDS = 100;

/** Body of `POST /dead-letters/import`: a page of an edited export. */
export interface ImportDeadLetters extends WrittenChange {
  /** At most MAX_EDITS. */
  readonly rows: readonly ImportedRow[];
  /** `action` of the first page's answer, so that all pages are one entry of `GET /repair-actions`. */
  readonly action?: string;
  /** There are more pages. */
  readonly more?: boolean;
}

/** A row of an export. `fields` or `record`; both in exports of CSV. */
export interface ImportedRow {
  readonly id: string;
  /** CSV: the fields by name, as the export shows them. */
  readonly fields?: Readonly<Record<string, string>>;
  /** The whole record: JSON, or of a record whose fields cannot be separated. */
  readonly record?: string;
}

/** What spreadsheets do to values. */
export const DAMAGES = [
  'LEADING_ZEROS',
  'SCIENTIFIC',
  'DIGITS_LOST',
  'NUMBER_REWRITTEN',
  'DATE_SWAPPED',
  'DATE_REWRITTEN',
  'ENCODING',
  'BOOLEAN_REWRITTEN',
] as const;
export type Damage = (typeof DAMAGES)[number];

export interface DamageWarning {
  readonly code: Damage;
  readonly field: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export const EXPORT_FORMATS = ['csv', 'ndjson'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Columns of an export besides the record's fields. */
export const ID_COLUMN = '_dead_letter';
export const REASONS_COLUMN = '_reasons';
/** The whole record, where its fields cannot be separated. */
export const RECORD_COLUMN = '_record';
