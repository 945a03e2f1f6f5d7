/**
 * The line ends of a source: found from its head, pinned in the job, the same for ingestor, validator and loader. PURE.
 *
 * - LE1: `lf` ends with LF: LF, CRLF and CR CR LF in any mixture. `cr` is CR alone, as old spreadsheets write it.
 * - LE2: the result depends on the head's bytes alone. Only a head without one LF outside quotes is `cr`.
 * - LE3: no line end of the other kind is taken for text: in the head it refuses the file, in a record the record.
 */
import { BACKSLASH, isSkippedLine, type ResolvedDialect } from '../dataset/csv-dialect.js';

export type LineEnd = 'lf' | 'cr';

export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;

/** This number of CRs before an LF belong to it: one, or two where CRLF was translated once more. */
export const MAX_RETURNS = 2;

/** The byte that every line end of this kind ends with. */
export function terminatorOf(lineEnd: LineEnd): number {
  return lineEnd === 'cr' ? CARRIAGE_RETURN : LINE_FEED;
}

/** The byte that no bare field and no head line may hold. */
export function strayByteOf(lineEnd: LineEnd): number {
  return lineEnd === 'cr' ? LINE_FEED : CARRIAGE_RETURN;
}

/** Where a line's text ends that its line end (or the source) ends at `end`. */
export function textEnd(bytes: Uint8Array, start: number, end: number, lineEnd: LineEnd): number {
  if (end <= start || bytes[end - 1] !== terminatorOf(lineEnd)) return end;
  let to = end - 1;
  if (lineEnd === 'cr') return to;
  for (
    let returns = 0;
    returns < MAX_RETURNS && to > start && bytes[to - 1] === CARRIAGE_RETURN;
    returns += 1
  )
    to -= 1;
  return to;
}

/** @param dialect line ends inside its quotes, and behind its backslashes, are text */
export function lineEndOf(head: Buffer, dialect: ResolvedDialect): LineEnd {
  const { delimiter, quote, backslash, skippedStarts } = dialect;
  let returns = 0;
  let atFieldStart = true;
  let atLineStart = true;
  for (let at = 0; at < head.length; at += 1) {
    if (atLineStart && skippedStarts.length > 0 && isSkippedLine(head, at, head.length, dialect)) {
      while (at < head.length && head[at] !== LINE_FEED && head[at] !== CARRIAGE_RETURN) at += 1;
    }
    const byte = head[at];
    if (byte === LINE_FEED) return 'lf';
    if (byte === CARRIAGE_RETURN) returns += 1;
    if (atFieldStart && byte === quote) {
      const close = closingQuote(head, at + 1, dialect);
      // Without a closing quote it is part of the text.
      if (close !== -1) at = close;
    }
    if (backslash && byte === BACKSLASH) at += 1;
    atLineStart = byte === CARRIAGE_RETURN;
    atFieldStart = byte === delimiter || atLineStart;
  }
  return returns > 0 ? 'cr' : 'lf';
}

/** The quote that closes the field which opened before `from`; -1 where text follows it, or there is none. */
function closingQuote(
  bytes: Uint8Array,
  from: number,
  { delimiter, quote, backslash }: ResolvedDialect,
): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (backslash && bytes[at] === BACKSLASH) at += 1;
    else if (bytes[at] === quote) {
      const next = bytes[at + 1];
      if (next === quote) at += 1;
      else if (next === undefined || next === delimiter || next === LINE_FEED || next === CARRIAGE_RETURN)
        return at;
      else return -1;
    }
  }
  return -1;
}
