/**
 * The heads that an ordinary file has, ready as `Dataset.prologue`: of CSV a header line or none, of NDJSON nothing. PURE.
 *
 * - HD1: a wrong file gets one error that says what was found and what to do, also where the dataset's own description
 *   (`csv`, `encoding`) is what should be changed.
 * - HD2: which columns are missing, or there twice, is not asked here but of every dataset (`readSourceHead`). Columns
 *   that the contract does not read are allowed.
 * - HD3: comments (`skipLinesStartingWith`) and blank lines before the header belong to the head, as lines of it.
 */
import { isUtf8 } from 'node:buffer';
import type { Finding } from '../finding/finding.js';
import {
  type CsvDialect,
  delimitersName,
  isSkippedLine,
  type ResolvedDialect,
  resolveDialect,
  USUAL_DELIMITERS,
} from './csv-dialect.js';
import { type Dataset, MAX_HEAD_BYTES, type Prologue } from './dataset.js';
import { encodingName, isDecoded } from '../source/encoding.js';
import { bomLength, FILE_FINDING_CODES, fileError, findWrongKindOfFile, JSON_ARRAY } from './file-head.js';
import { headerRecord, splitHeader } from './header-line.js';

export interface HeadOptions {
  /** `Dataset.encoding`. */
  readonly encoding?: string | undefined;
}

export interface CsvHeadOptions extends HeadOptions {
  /** `Dataset.csv`. */
  readonly csv?: CsvDialect | undefined;
  /** Names of the columns that the contract reads: with them errors say better what is wrong with a header. */
  readonly reads?: readonly string[];
}

/** A CSV file's head: its header line, or none where the dialect names the columns. */
export function csvHead({ csv = {}, encoding, reads = [] }: CsvHeadOptions = {}): Dataset['prologue'] {
  const resolved = resolveDialect(csv);
  const judge = new HeaderJudge(csv, encoding, reads);
  return (head, complete) => {
    const wrongKind = findWrongKindOfFile(head, complete);
    if (wrongKind === 'undecided') return undefined;
    if (wrongKind) return refuse(withEncodingHint(wrongKind, encoding));
    const start = { at: bomLength(head), line: 1 };
    if (resolved.columns !== null) return prologue(resolved.columns, start.at, start.line);
    const before = passLines(head, start, resolved);
    const header = headerRecord(head, before.at, resolved);
    if (header?.ended === false && !complete) return undefined;
    if (header === null || header.isOpen) return refuse(OPEN_QUOTE, before.line);
    const isCut = head.length >= MAX_HEAD_BYTES;
    if (!header.ended && isCut) return refuse(TOO_LONG, before.line);
    const bytes = head.subarray(before.at, header.end);
    if (bytes.length === 0) return refuse(NO_HEADER, before.line);
    const wrong = judge.findWrong(bytes);
    if (wrong) return refuse(wrong, before.line);
    if (header.next === head.length && complete && !isCut) return refuse(WITHOUT_RECORDS, before.line);
    return prologue(namesOf(bytes, resolved), header.next, before.line + header.lines);
  };
}

/** An NDJSON file's head: a byte order mark at most. What else there is of JSON is asked of every dataset. */
export function ndjsonHead({ encoding }: HeadOptions = {}): Dataset['prologue'] {
  return (head, complete) => {
    const wrongKind = findWrongKindOfFile(head, complete);
    if (wrongKind === 'undecided') return undefined;
    if (wrongKind) return refuse(withEncodingHint(wrongKind, encoding));
    const start = bomLength(head);
    const first = head.subarray(start).toString().trimStart()[0];
    if (first === '{') return prologue([], start, 1);
    return refuse(first === '[' ? JSON_ARRAY : NOT_NDJSON);
  };
}

const NOT_NDJSON = fileError(
  FILE_FINDING_CODES.FILE_NOT_NDJSON,
  'The file does not begin with a JSON object: it must hold one object a line.',
);
const OPEN_QUOTE = fileError(
  FILE_FINDING_CODES.HEADER_UNREADABLE,
  'The header has a quote that opens a name and does not close it: it must hold the names of the columns.',
);
const TOO_LONG = fileError(
  FILE_FINDING_CODES.HEADER_UNREADABLE,
  `The header does not end within the first ${MAX_HEAD_BYTES} bytes: check that the file has line ends and is the right one.`,
);
const NO_HEADER = fileError(
  FILE_FINDING_CODES.HEADER_UNREADABLE,
  'The file holds comments and blank lines, and no header: check that the download was finished.',
);
const WITHOUT_RECORDS = fileError(
  FILE_FINDING_CODES.FILE_WITHOUT_RECORDS,
  'The file holds a header and no record: check that the download was finished.',
);

function prologue(columns: readonly string[], dataStart: number, firstLine: number): Prologue {
  return { columns, context: {}, dataStart, firstLine, findings: [] };
}

function refuse(finding: Finding, line = 1): Prologue {
  return { ...prologue([], 0, 1), findings: [line === 1 ? finding : { ...finding, line }] };
}

/** UTF-16 is found before any header is; the dataset can have it decoded. */
function withEncodingHint(finding: Finding, encoding: string | undefined): Finding {
  if (finding.code !== FILE_FINDING_CODES.FILE_NOT_UTF8 || isDecoded(encoding)) return finding;
  const label = finding.message.includes('big-endian') ? 'utf-16be' : 'utf-16le';
  return {
    ...finding,
    message: `${finding.message.replace(/\.$/, '')}, or declare encoding: '${label}' in the dataset.`,
  };
}

const LINE_FEED = 0x0a;

/** Comments and blank lines before the header (HD3). */
function passLines(
  head: Buffer,
  start: { readonly at: number; readonly line: number },
  dialect: ResolvedDialect,
): { at: number; line: number } {
  let { at, line } = start;
  while (at < head.length) {
    const lineFeed = head.indexOf(LINE_FEED, at);
    const end = lineFeed === -1 ? head.length : lineFeed + 1;
    const isBlank = /^[\r\n]*$/.test(head.toString('latin1', at, end));
    if (!isBlank && !isSkippedLine(head, at, end, dialect)) break;
    at = end;
    line += 1;
  }
  return { at, line };
}

/** Trimmed; U+3000 counts as a blank. */
function namesOf(header: Buffer, dialect: ResolvedDialect): string[] {
  return splitHeader(header.toString(), dialect).map((name) => name.trim());
}

/** Tried when a header is not UTF-8, and the contract's own names do not say what it is. */
const OTHER_ENCODINGS = ['big5', 'gb18030', 'shift_jis', 'euc-kr', 'windows-1252'];

class HeaderJudge {
  private readonly dialect: ResolvedDialect;
  private readonly quote: string | null;
  private readonly delimiter: string;

  constructor(
    dialect: CsvDialect,
    private readonly encoding: string | undefined,
    private readonly reads: readonly string[],
  ) {
    this.dialect = resolveDialect(dialect);
    this.quote = dialect.quote === undefined ? '"' : dialect.quote;
    this.delimiter = dialect.delimiter ?? ',';
  }

  findWrong(header: Buffer): Finding | null {
    return this.findWrongEncoding(header) ?? this.findOtherDelimiter(header.toString());
  }

  private findWrongEncoding(header: Buffer): Finding | null {
    if (isDecoded(this.encoding)) {
      if (!header.includes('\ufffd')) return null;
      const name = encodingName(this.encoding);
      const message = `The header holds bytes that are not ${name}: check the dataset's encoding: '${this.encoding}'.`;
      return fileError(FILE_FINDING_CODES.ENCODING_WRONG, message);
    }
    if (isUtf8(header)) return null;
    const found = OTHER_ENCODINGS.find((label) => this.isKnownAs(header, label));
    const message =
      found === undefined
        ? "The header is not UTF-8: convert the file, or declare its encoding in the dataset (encoding: 'big5', 'windows-1252', …)."
        : `The header is ${encodingName(found)}, not UTF-8: declare encoding: '${found}' in the dataset, or convert the file.`;
    return fileError(FILE_FINDING_CODES.FILE_NOT_UTF8, message);
  }

  /** Whether names of the contract that are not ASCII stand in the header when it is read so. */
  private isKnownAs(header: Buffer, label: string): boolean {
    const names = namesOf(Buffer.from(new TextDecoder(label).decode(header)), this.dialect);
    return this.reads.some((name) => !/^[\x00-\x7f]*$/.test(name) && names.includes(name));
  }

  /** A header that is one name by the dialect's delimiter, or none that the contract reads, and several by another. */
  private findOtherDelimiter(header: string): Finding | null {
    const own = splitHeader(header, this.dialect).map((name) => name.trim());
    if (own.some((name) => this.reads.includes(name))) return null;
    if (own.length > 1 && this.reads.length === 0) return null;
    const other = USUAL_DELIMITERS.find((delimiter) => {
      if (delimiter === this.delimiter || delimiter === this.quote) return false;
      const names = splitHeader(header, { ...this.dialect, delimiter: delimiter.charCodeAt(0) });
      if (own.length > 1) return names.some((name) => this.reads.includes(name.trim()));
      return names.length > 1;
    });
    if (other === undefined) return null;
    const wanted = this.delimiter === ',' ? '' : `, not by ${delimitersName(this.delimiter)}`;
    const message =
      `The header is separated by ${delimitersName(other)}${wanted}: declare ` +
      `csv: { delimiter: ${asCode(other)} } in the dataset, or write the file with ${delimitersName(this.delimiter)}.`;
    return fileError(FILE_FINDING_CODES.SEPARATOR_WRONG, message);
  }
}

function asCode(delimiter: string): string {
  return delimiter === '\t' ? String.raw`'\t'` : `'${delimiter}'`;
}
