/**
 * What can be wrong with a record as a whole, and what is said about its fields independent of the contract. PURE.
 */
import { isUtf8 } from 'node:buffer';
import { type Finding, GENERAL_FINDING_CODES } from '../../finding/finding.js';
import type { MessageFaultCode } from '../raw-batch.js';
import type { RecordWalker } from '../record-walker.js';
import type { RecordProblem } from './cells.js';
import type { Complaint } from './record-findings.js';

/**
 * COPY text of one batch is kept below this, so that a clean batch fits into a message (8 MiB with headers).
 * Only records made for it come near: 512 KiB of source give about 600 KiB.
 */
export const MAX_BATCH_TEXT_BYTES = 7 * 1024 * 1024;

/** U+FFFD: what a decoder makes of bytes that mean nothing in the source's encoding. */
export const REPLACEMENT = Buffer.from('\ufffd');

/** What refuses a record as a whole. */
export type Defect = Omit<Finding, 'severity'>;

const {
  MALFORMED_ROW,
  RECORD_TOO_LARGE,
  NUL_REMOVED: NUL_CODE,
  STRAY_QUOTE: QUOTE_CODE,
  UNKNOWN_MEMBER: UNKNOWN_CODE,
} = GENERAL_FINDING_CODES;

export const NUL_REMOVED: Complaint = {
  code: NUL_CODE,
  severity: 'warning',
  word: (field) => `${field} held NUL characters, which PostgreSQL cannot hold; they were removed`,
  instead: undefined,
};

export const STRAY_QUOTE: Complaint = {
  code: QUOTE_CODE,
  severity: 'warning',
  word: (field) => `${field} holds a quote, though the field is not quoted; the quote is taken for text`,
  instead: undefined,
};

export const UNKNOWN_MEMBER: Omit<Complaint, 'severity'> = {
  code: UNKNOWN_CODE,
  word: (field) => `${field} is a member that the contract does not read`,
  instead: undefined,
};

export const TOO_MUCH_TEXT: Defect = {
  code: RECORD_TOO_LARGE,
  field: null,
  message: `the rows of the record bring its batch over ${MAX_BATCH_TEXT_BYTES} bytes of COPY text`,
};

export function malformed(problem: RecordProblem): Defect {
  return { code: MALFORMED_ROW, ...problem };
}

export const NOT_UTF8 = malformed({ field: null, message: 'the record holds bytes that are not UTF-8' });

/** What is wrong with a record before its fields are judged. */
export function problemOf(
  walker: RecordWalker,
  bytes: Buffer,
  wellFormed: boolean,
  delimiter: string,
): Defect | null {
  const { unreadable, start, end } = walker;
  if (unreadable?.code !== undefined) return messageFault(unreadable.code, end - start);
  if (unreadable !== null && unreadable.keptBytes < unreadable.bytes) {
    const message = `the record is ${unreadable.bytes} bytes long, over the limit; its first ${unreadable.keptBytes} are kept`;
    return { code: RECORD_TOO_LARGE, field: null, message };
  }
  if (walker.malformed) {
    const until =
      unreadable === null ? `before ${delimiter} or line end` : 'within the size limit of a record';
    return malformed({ field: null, message: `a quote opens a field and does not close ${until}` });
  }
  if (!wellFormed && !isUtf8(bytes.subarray(start, end))) {
    return NOT_UTF8;
  }
  return null;
}

const MESSAGE_FAULTS: Readonly<Record<MessageFaultCode, string>> = {
  TOMBSTONE: 'the message has no value, and the dataset takes no such messages for deletes',
  NOT_ONE_RECORD: 'the message holds more than one record, or a part of one: each message is one record',
  WRONG_CONTENT_TYPE: 'header "content-type" of the message names another format than the dataset has',
  BAD_MESSAGE_HEADER:
    'header "columns" or "context" of the message cannot be used: "columns" lists the columns that the contract reads, each once; "context" is a JSON object of texts, of 1 KiB at most',
  MESSAGE_UNDECODABLE: 'the message stands in a batch that cannot be decoded',
};

function messageFault(code: MessageFaultCode, bytes: number): Defect {
  const isEmpty = code === 'NOT_ONE_RECORD' && bytes === 0;
  const message = isEmpty ? 'the message is empty: each message is one record' : MESSAGE_FAULTS[code];
  return { code, field: null, message };
}
