import type { Finding } from '../finding/finding.js';
import type { CsvDialect } from './csv-dialect.js';
import type { DeleteOptions } from './deletes.js';
import type { Inbox } from './inbox.js';

export type SourceFormat = 'csv' | 'ndjson';
export const SOURCE_FORMATS: readonly SourceFormat[] = ['csv', 'ndjson'];

/**
 * How a complete job becomes visible: `replace` swaps the tables for the job's own, `append` adds
 * new keys, `upsert` adds and updates.
 */
export type WriteMode = 'replace' | 'append' | 'upsert';
export const WRITE_MODES: readonly WriteMode[] = ['replace', 'append', 'upsert'];

/** What `append` does with a record whose key is in the table already: skips it, or fails the job. */
export type ExistingKeys = 'supersede' | 'fail';
export const EXISTING_KEYS: readonly ExistingKeys[] = ['supersede', 'fail'];

/**
 * When a running job is paused (reason `breaker`) because too much of what was loaded lately is refused. The window
 * slides over the job's batches in source order; the share is judged only when the window is full, so a short
 * source is left to `maxRefusedShare`.
 */
export interface Breaker {
  readonly windowRecords: number;
  /** Refused records of the window, 0…1; more trips it. 1 never does. */
  readonly maxShare: number;
  /** More refused records than this in the window trip it, full or not; null = any number. */
  readonly maxCount: number | null;
}

/** Lenient on purpose: half of 20,000 rows refused is the wrong file, not a bad day. */
export const DEFAULT_BREAKER: Breaker = { windowRecords: 20_000, maxShare: 0.5, maxCount: null };

export type UnknownMembersMode = 'count' | 'warning' | 'error';
export const UNKNOWN_MEMBERS_MODES: readonly UnknownMembersMode[] = ['count', 'warning', 'error'];

/** Any class whose properties carry the column decorators of `columns.ts`. */
export type ContractClass = abstract new () => object;

/**
 * One named kind of data. The default export of `libs/datasets/src/<name>/dataset.ts`; everything
 * else about it stands in the same folder.
 */
export interface Dataset {
  /** Kebab-case, no underscore; equals the folder's name, and names the topics. */
  readonly name: string;
  readonly title: string;
  /** Raised with every change of the contract; pinned in the job row. */
  readonly contractVersion: number;
  readonly format: SourceFormat;
  /** CSV: how the files are written, where it is not commas, double quotes and a header line. */
  readonly csv?: CsvDialect;
  /**
   * The encoding of the files, a label of the WHATWG encoding standard; default UTF-8. The ingestor decodes them, and
   * the places of records are places in the decoded text. What cannot be decoded refuses its record (`MALFORMED_ROW`).
   */
  readonly encoding?: string;
  /** The contract: the only definition of columns, cleaning, rules and target tables. */
  readonly contract: ContractClass;
  /** The modes that this dataset allows, its default first. */
  readonly writeModes: readonly WriteMode[];
  /** Which of several records with one key is kept; the others become `DUPLICATE` dead letters. */
  readonly keepOfDuplicates: 'first' | 'last';
  /** A larger share of refused records fails the job before anything is visible (judged from 100 records on). */
  readonly maxRefusedShare: number;
  /** A single refused record fails a job before anything is visible (`STRICT_REFUSED`), unless the job says otherwise. Default false. */
  readonly strict?: boolean;
  /** DEFAULT_BREAKER when left out. */
  readonly breaker?: Breaker;
  /** `replace` does not swap in a snapshot smaller than the table by more than this share, unless overridden. */
  readonly maxShrinkShare: number;
  /** Options that the rules may read, e.g. a checksum mode: every allowed value, the default first. */
  readonly options: Readonly<Record<string, readonly string[]>>;
  /**
   * NDJSON: what a member leads to that the contract does not read. `count` (default): it is counted by name, and its
   * record once as the warning `UNKNOWN_MEMBER`; `warning`, `error`: a finding for each.
   */
  readonly unknownMembers?: UnknownMembersMode;
  /**
   * Records that take the row with their key away, in mode `upsert`; `'tombstone'` is short for `{ tombstones: true }`.
   * Left out: there are none, and a message without a value is refused (`TOMBSTONE`).
   */
  readonly deletes?: 'tombstone' | DeleteOptions;
  /** Producers may send records to the dataset's inbox, a topic with one record a message. Left out: it has none. */
  readonly inbox?: Inbox;
  /** Where the data is published, for `sluice run` without `--source`. */
  readonly defaultSource?: string;
  /**
   * Reads a file's head: header, date line, wrong layouts. Pure.
   * @param head the first bytes of the uncompressed source, at most `MAX_HEAD_BYTES`
   * @param complete true when `head` is the whole source, or as much as will ever be given
   * @returns undefined when more bytes are needed to decide (never when `complete`)
   */
  prologue(head: Buffer, complete: boolean): Prologue | undefined;
}

/** A finding about a file's head, and the line (from 1) that it is about; the first one unless it says so. */
export interface HeadFinding extends Finding {
  readonly line?: number;
}

/** What a file's head says. */
export interface Prologue {
  /** Column names in file order; empty for formats that name their fields in each record. */
  readonly columns: readonly string[];
  /** Facts of the head that the rows need, e.g. the extract's date. At most `MAX_CONTEXT_BYTES` as JSON. */
  readonly context: Readonly<Record<string, string>>;
  /** Offset of the first record's first byte, and its line (from 1). */
  readonly dataStart: number;
  readonly firstLine: number;
  /** Any `error` refuses the file. */
  readonly findings: readonly HeadFinding[];
}

export const MAX_HEAD_BYTES = 64 * 1024;

/** Of a prologue's context as JSON in UTF-8: it is a header of every message of the job. */
export const MAX_CONTEXT_BYTES = 1024;

/** The option values of one job: every option of the dataset, each with an allowed value. */
export type OptionValues = Readonly<Record<string, string>>;

/** Fills in defaults and names what is not allowed. */
export function resolveOptions(
  dataset: Pick<Dataset, 'options'>,
  given: Readonly<Record<string, string>>,
): { values: OptionValues; problems: readonly string[] } {
  const problems: string[] = [];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(dataset.options, name)) problems.push(`unknown option "${name}"`);
  }
  const values = Object.fromEntries(
    Object.entries(dataset.options).map(([name, allowed]) => {
      const value = (Object.hasOwn(given, name) ? given[name] : undefined) ?? allowed[0] ?? '';
      if (!allowed.includes(value)) problems.push(`option "${name}" must be one of ${allowed.join(', ')}`);
      return [name, value];
    }),
  );
  return { values, problems };
}
