/** One reason about one record, or about a file's head. */
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

/** Codes that records of every dataset can get, independent of its contract. */
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
  /** A delete of a job whose mode takes none. */
  DELETE_REFUSED: 'DELETE_REFUSED',
  /** The key stands earlier (or later, as the dataset says) in the same job. */
  DUPLICATE: 'DUPLICATE',
  /** PostgreSQL itself refused the row; the dead letter carries its SQLSTATE. */
  REFUSED_BY_DATABASE: 'REFUSED_BY_DATABASE',
  /** Refused at load when its raw batch had expired: the dead letter says why, and only roughly where. */
  BYTES_EXPIRED: 'BYTES_EXPIRED',
  /** A message of an inbox without a value, in a dataset that deletes nothing. */
  TOMBSTONE: 'TOMBSTONE',
  /** A message of an inbox that is empty, or holds more than one record, or a part of one. */
  NOT_ONE_RECORD: 'NOT_ONE_RECORD',
  /** A message of an inbox whose header `content-type` names another format than the dataset's. */
  WRONG_CONTENT_TYPE: 'WRONG_CONTENT_TYPE',
  /** A message of an inbox whose header `columns` or `context` cannot be read, or does not fit the contract. */
  BAD_MESSAGE_HEADER: 'BAD_MESSAGE_HEADER',
  /** Messages of an inbox that stand in a batch which cannot be decoded: one dead letter for the batch, without bytes. */
  MESSAGE_UNDECODABLE: 'MESSAGE_UNDECODABLE',
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
