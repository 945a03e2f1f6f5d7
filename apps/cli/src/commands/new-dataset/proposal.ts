/** What `sluice new dataset` proposes from a sample. PURE. */
import type { CsvDialect } from '#core/dataset/csv-dialect.js';

export interface ProposedColumn {
  /** The source's name: of the header, or a dotted path. */
  readonly source: string;
  readonly property: string;
  /** As in a contract; null for `text()`. */
  readonly kind: string | null;
  readonly required: boolean;
  /** Where the table's would take a value for null; null for the table's. */
  readonly nullTokens: readonly string[] | null;
}

export interface ProposedChild {
  readonly property: string;
  readonly className: string;
  readonly table: string;
  /** Dotted path of the array. */
  readonly path: string;
  /** Properties of the parent that its rows repeat: what identifies the parent's row. */
  readonly parentKey: readonly string[];
  /** Property for the place of a row in its array. */
  readonly slot: string;
  readonly columns: readonly ProposedColumn[];
  readonly children: readonly ProposedChild[];
}

export interface Proposal {
  readonly name: string;
  readonly title: string;
  readonly className: string;
  readonly table: string;
  /** Properties. */
  readonly key: readonly string[];
  readonly format: 'csv' | 'ndjson';
  readonly csv: CsvDialect;
  /** Null for UTF-8. */
  readonly encoding: string | null;
  /** Null for the contract's own default. */
  readonly nullTokens: readonly string[] | null;
  readonly columns: readonly ProposedColumn[];
  readonly children: readonly ProposedChild[];
  /** What is not certain, a sentence each. */
  readonly guesses: readonly string[];
  /** How many records it comes from. */
  readonly records: number;
}
