/** One reason about one record, or about the head of a file. */
export interface Finding {
  /** A code of the dataset's contract, or one of {@link GENERAL_FINDING_CODES}. */
  readonly code: string;
  /** The source's name of the field, or null when the whole record is meant. */
  readonly field: string | null;
  readonly message: string;
  /** An `error` refuses the record; a `warning` loads it and is counted. */
  readonly severity: Severity;
}

export type Severity = 'error' | 'warning';

/** Codes that any dataset's records can get, whatever its contract says. */
export const GENERAL_FINDING_CODES = {
  /** Wrong field count, broken quoting, not JSON, or bytes that are not UTF-8. */
  MALFORMED_ROW: 'MALFORMED_ROW',
  /** Longer than `maxRecordBytes`; only its first bytes and its place are kept. */
  RECORD_TOO_LARGE: 'RECORD_TOO_LARGE',
  /** Longer than its column allows, in characters. */
  FIELD_TOO_LONG: 'FIELD_TOO_LONG',
  /** NUL characters were removed, because PostgreSQL cannot hold them. */
  NUL_REMOVED: 'NUL_REMOVED',
  /** The key stands earlier (or later, as the dataset says) in the same job. */
  DUPLICATE: 'DUPLICATE',
  /** PostgreSQL itself refused the row; the dead letter carries its SQLSTATE. */
  REFUSED_BY_DATABASE: 'REFUSED_BY_DATABASE',
} as const;
