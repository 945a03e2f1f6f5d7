/**
 * The header of a CSV file, read once a file: plainly, on text, by the rule that `record/record-bounds.ts` and
 * `record/csv-fields.ts` follow on bytes. PURE. `heads.spec.ts` proves the same of both.
 */
import { BACKSLASH, type ResolvedDialect } from './csv-dialect.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface HeaderRecord {
  /** Where its text ends. */
  readonly end: number;
  /** Where the next record begins. */
  readonly next: number;
  /** Lines that it takes: a name may hold line ends. */
  readonly lines: number;
  /** False when the head stops before the header does. */
  readonly ended: boolean;
  /** It stops inside quotes. */
  readonly isOpen: boolean;
}

/** @returns null where text follows the quote that closes a name */
export function headerRecord(head: Buffer, start: number, dialect: ResolvedDialect): HeaderRecord | null {
  const { delimiter, quote, backslash } = dialect;
  let lines = 1;
  let isOpen = false;
  let atFieldStart = true;
  for (let at = start; at < head.length; at += 1) {
    const byte = head[at];
    if (backslash && byte === BACKSLASH) {
      at = behindEscape(head, at + 1) - 1;
      if (head[at] === LINE_FEED) lines += 1;
      atFieldStart = false;
    } else if (isOpen) {
      if (byte === LINE_FEED) lines += 1;
      if (byte !== quote) continue;
      if (head[at + 1] === quote) at += 1;
      else if (isFieldEnd(head, at + 1, delimiter)) isOpen = false;
      else return null;
    } else if (byte === LINE_FEED) {
      return { end: textEnd(head, start, at), next: at + 1, lines, ended: true, isOpen };
    } else {
      isOpen = atFieldStart && byte === quote;
      atFieldStart = byte === delimiter;
    }
  }
  return { end: head.length, next: head.length, lines, ended: false, isOpen };
}

function behindEscape(head: Buffer, at: number): number {
  const lineFeed = at + returnsAt(head, at);
  return head[lineFeed] === LINE_FEED ? lineFeed + 1 : at + 1;
}

function isFieldEnd(head: Buffer, at: number, delimiter: number): boolean {
  const byte = head[at];
  return byte === undefined || byte === delimiter || head[at + returnsAt(head, at)] === LINE_FEED;
}

/** CRs that belong to a line end: one, or two where CRLF was translated once more. */
function returnsAt(head: Buffer, at: number): number {
  if (head[at] !== CARRIAGE_RETURN) return 0;
  return head[at + 1] === CARRIAGE_RETURN ? 2 : 1;
}

function textEnd(head: Buffer, start: number, lineFeed: number): number {
  let end = lineFeed;
  while (end > start && lineFeed - end < 2 && head[end - 1] === CARRIAGE_RETURN) end -= 1;
  return end;
}

const MEANT: Readonly<Record<string, string>> = {
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', '0': '\0' },
};

/** The names of a header whose quotes close. */
export function splitHeader(header: string, dialect: ResolvedDialect): string[] {
  const delimiter = String.fromCharCode(dialect.delimiter);
  const quote = dialect.quote === -1 ? null : String.fromCharCode(dialect.quote);
  const names: string[] = [];
  for (let at = 0; ; at += 1) {
    let name = '';
    const isQuoted = quote !== null && header[at] === quote;
    if (isQuoted) at += 1;
    for (; at < header.length; at += 1) {
      const letter = header[at] ?? '';
      const next = header[at + 1];
      if (dialect.backslash && letter === '\\' && next !== undefined) {
        name += MEANT[next] ?? next;
        at += 1;
      } else if (isQuoted && letter === quote) {
        if (next !== quote) break;
        name += quote;
        at += 1;
      } else if (!isQuoted && letter === delimiter) break;
      else name += letter;
    }
    if (isQuoted) at += 1;
    names.push(name);
    if (at >= header.length) return names;
  }
}
