import { isUtf8 } from 'node:buffer';
import type { Finding } from '../finding/finding.js';
import { MAX_HEAD_BYTES } from './dataset.js';

/**
 * What a file of text records can turn out not to be, judged by its first bytes. PURE.
 * Shared by the prologues of all datasets: each refuses the same wrong files in the same words.
 */
export const FILE_FINDING_CODES = {
  FILE_EMPTY: 'FILE_EMPTY',
  /** A header, and no record after it. */
  FILE_WITHOUT_RECORDS: 'FILE_WITHOUT_RECORDS',
  FILE_IS_HTML: 'FILE_IS_HTML',
  FILE_IS_BINARY: 'FILE_IS_BINARY',
  /** UTF-16, Big5 or another encoding. */
  FILE_NOT_UTF8: 'FILE_NOT_UTF8',
  /** The header holds bytes that are not of the encoding which the dataset declares. */
  ENCODING_WRONG: 'ENCODING_WRONG',
  /** A quote of the header does not close, or there is no header. */
  HEADER_UNREADABLE: 'HEADER_UNREADABLE',
  /** The header is written with another delimiter than the dataset declares. */
  SEPARATOR_WRONG: 'SEPARATOR_WRONG',
  /** A line of the head ends with the other kind of line end, so that a record may hide in it. */
  LINE_ENDS_MIXED: 'LINE_ENDS_MIXED',
  /** The prologue takes bytes for the head that are not the lines it says. */
  HEAD_UNACCOUNTED: 'HEAD_UNACCOUNTED',
  /** What the prologue read from the head for the rows is larger than a message's header may hold. */
  CONTEXT_TOO_LARGE: 'CONTEXT_TOO_LARGE',
  /** The header lacks a column that the contract reads, or has it twice. */
  COLUMN_MISSING: 'COLUMN_MISSING',
  COLUMN_REPEATED: 'COLUMN_REPEATED',
  /** It begins with something else than a JSON object. */
  FILE_NOT_NDJSON: 'FILE_NOT_NDJSON',
  FILE_IS_JSON_ARRAY: 'FILE_IS_JSON_ARRAY',
  FILE_IS_ENVELOPE: 'FILE_IS_ENVELOPE',
  FILE_IS_ERROR_BODY: 'FILE_IS_ERROR_BODY',
  FILE_IS_PRETTY_PRINTED: 'FILE_IS_PRETTY_PRINTED',
  FILE_IS_OTHER_JSON: 'FILE_IS_OTHER_JSON',
} as const;

export type FileFindingCode = keyof typeof FILE_FINDING_CODES;

const UTF8_BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** Binary formats that people take for a text export; what the source unpacks itself (one layer of zip or gzip) never gets here. */
const SIGNATURES: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['a zip archive or an Excel workbook', [0x50, 0x4b, 0x03, 0x04]],
  ['an old Excel workbook', [0xd0, 0xcf, 0x11, 0xe0]],
  ['a gzip file', [0x1f, 0x8b]],
  ['a bzip2 file', [0x42, 0x5a, 0x68]],
  ['an xz file', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['a zstd file', [0x28, 0xb5, 0x2f, 0xfd]],
  ['a 7z archive', [0x37, 0x7a, 0xbc, 0xaf]],
  ['a PDF', [0x25, 0x50, 0x44, 0x46]],
  ['a PNG image', [0x89, 0x50, 0x4e, 0x47]],
];

/** Enough to distinguish text from binary without punishing a control character somewhere in a record. */
const PROBE_BYTES = 512;
/** Text files have none; programs, images and archives that no signature names have plenty. */
const MAX_CONTROL_SHARE = 0.05;
/**
 * ASCII as UTF-16 is half NUL, Chinese with ASCII commas has a NUL in every tenth byte, nearly all of
 * them on the same side of their pairs; UTF-8 has one by accident.
 */
const MIN_UTF16_NUL_SHARE = 0.04;
const MIN_UTF16_NUL_RATIO = 4;

/** An error about the file as a whole. */
export function fileError(code: string, message: string, field: string | null = null): Finding {
  return { code, field, message, severity: 'error' };
}

export const JSON_ARRAY = fileError(
  FILE_FINDING_CODES.FILE_IS_JSON_ARRAY,
  "The file is one JSON array: write its objects, one a line (`jq -c '.[]'`).",
);

/** Length of the byte order mark at the beginning: 3 or 0. */
export function bomLength(head: Buffer): number {
  return head.subarray(0, UTF8_BOM.length).equals(UTF8_BOM) ? UTF8_BOM.length : 0;
}

/**
 * The answer depends on the first bytes of the file, never on how many of them come at once.
 * @param complete as in `Dataset.prologue`
 * @returns the reason why this cannot be a file of text records; undefined when it may be one;
 * 'undecided' when so far there are only blanks, or too few bytes to distinguish text from binary
 */
export function findWrongKindOfFile(head: Buffer, complete: boolean): Finding | 'undecided' | undefined {
  if (!complete && head.length < PROBE_BYTES) return 'undecided';
  const start = bomLength(head) + leadingBlanks(head.subarray(bomLength(head)));
  if (start === head.length) {
    return complete ? fileError('FILE_EMPTY', emptyText(head.length)) : 'undecided';
  }
  const signature = SIGNATURES.find(([, bytes]) => bytes.every((byte, i) => head[i] === byte));
  if (signature) {
    return fileError('FILE_IS_BINARY', `The file is ${signature[0]}, not text: give the text file itself.`);
  }
  const utf16 = utf16Order(head);
  if (utf16) {
    return fileError(
      'FILE_NOT_UTF8',
      `The file is UTF-16 (${utf16}-endian), not UTF-8: save or convert it as UTF-8.`,
    );
  }
  if (controlShare(head.subarray(0, PROBE_BYTES)) > MAX_CONTROL_SHARE) {
    return fileError(
      'FILE_IS_BINARY',
      'The file is binary, not text: check that the address names the data file.',
    );
  }
  if (head[start] === 0x3c /* < */) {
    return fileError(
      'FILE_IS_HTML',
      'The file is an HTML or XML page, not data: the server probably answered with an error or login page; open the address in a browser.',
    );
  }
  return undefined;
}

/**
 * Judges the encoding of bytes that must be text, such as a header line.
 * @param big5Hint a word that stands in the text when it is read as Big5
 */
export function findWrongEncoding(text: Buffer, big5Hint?: string): Finding | undefined {
  if (isUtf8(text)) return undefined;
  const isBig5 = big5Hint !== undefined && new TextDecoder('big5').decode(text).includes(big5Hint);
  return fileError(
    'FILE_NOT_UTF8',
    `The first line is ${isBig5 ? 'Big5' : 'in another encoding'}, not UTF-8: convert the file to UTF-8.`,
  );
}

function emptyText(bytes: number): string {
  const what = bytes < MAX_HEAD_BYTES ? 'empty' : `empty in its first ${bytes} bytes`;
  return `The file is ${what}: check that the download was finished.`;
}

function leadingBlanks(head: Buffer): number {
  const first = head.findIndex((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first < 0 ? head.length : first;
}

function utf16Order(head: Buffer): 'little' | 'big' | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return 'little';
  if (head[0] === 0xfe && head[1] === 0xff) return 'big';
  const probe = head.subarray(0, PROBE_BYTES);
  const nuls = { odd: 0, even: 0 };
  probe.forEach((byte, i) => {
    if (byte === 0) nuls[i % 2 === 1 ? 'odd' : 'even'] += 1;
  });
  const [order, more, fewer] =
    nuls.odd > nuls.even
      ? (['little', nuls.odd, nuls.even] as const)
      : (['big', nuls.even, nuls.odd] as const);
  const isUtf16 = more > probe.length * MIN_UTF16_NUL_SHARE && more >= fewer * MIN_UTF16_NUL_RATIO;
  return isUtf16 ? order : undefined;
}

function controlShare(probe: Buffer): number {
  const controls = probe.reduce((count, byte) => {
    const isControl = (byte < 0x20 && (byte < 0x09 || byte > 0x0d)) || byte === 0x7f;
    return isControl ? count + 1 : count;
  }, 0);
  return controls / probe.length;
}
