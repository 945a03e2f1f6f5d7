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
  /** A quote inside a field that is not quoted (CSV): it is stored as it stands. */
  STRAY_QUOTE: 'STRAY_QUOTE',
  /** A JSON record has members that the contract does not read. */
  UNKNOWN_MEMBER: 'UNKNOWN_MEMBER',
  /** The key stands earlier (or later, as the dataset says) in the same job. */
  DUPLICATE: 'DUPLICATE',
  /** PostgreSQL itself refused the row; the dead letter carries its SQLSTATE. */
  REFUSED_BY_DATABASE: 'REFUSED_BY_DATABASE',
  /** Refused at load when its raw batch had expired: the letter knows why, and only roughly where. */
  BYTES_EXPIRED: 'BYTES_EXPIRED',
} as const;

/** A code as every table, metric label and URL can hold it. */
export function isFindingCode(value: unknown): value is string {
  return typeof value === 'string' && /^[^\s\p{C}]{1,100}$/u.test(value);
}

/** Whether something that came over the wire has the shape of a finding. */
export function isFinding(value: unknown): value is Finding {
  if (typeof value !== 'object' || value === null) return false;
  const { code, field, message, severity } = value as Record<string, unknown>;
  return (
    isFindingCode(code) &&
    (field === null || typeof field === 'string') &&
    typeof message === 'string' &&
    (severity === 'error' || severity === 'warning')
  );
}
