/**
 * What stands where lines of JSON objects should: found from the first bytes, for every dataset. PURE.
 * Nothing of a value is reported, only what kind of document it is.
 */
import type { ContractPlan } from '../compile/contract-plan.js';
import type { Finding } from '../../finding/finding.js';
import { fileError, JSON_ARRAY } from '../../dataset/file-head.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
const CLOSE_OBJECT = 0x7d;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Members by which services say that something went wrong, in lower case. */
const ERROR_MEMBERS = [
  'error',
  'errors',
  'message',
  'code',
  'status',
  'statuscode',
  'detail',
  'title',
  'fault',
  'exception',
  'error_description',
  'errorcode',
  'errormessage',
  'reason',
  'msg',
];
/** Of these one alone says it. */
const SURE_ERROR_MEMBERS = [
  'error',
  'errors',
  'fault',
  'exception',
  'error_description',
  'errorcode',
  'errormessage',
];

/** The first value of a document, as far as its bytes go. */
export interface FirstValue {
  readonly isArray: boolean;
  /** Names of the first object's own members, as far as the bytes go, and of those whose value is an array of objects. */
  readonly names: readonly string[];
  readonly lists: readonly string[];
  /** It continues over a line end. */
  readonly isOverLines: boolean;
  /** Where it ends; -1 when the bytes end before. */
  readonly end: number;
}

/**
 * @param bytes from the first record on
 * @param isWhole the source ends with them
 * @returns the reason why these are no records of this contract; null when they may be
 */
export function findWrongJson(bytes: Buffer, isWhole: boolean, plan: ContractPlan): Finding | null {
  const start = skipBlanks(bytes, 0);
  if (bytes[start] !== OPEN_OBJECT && bytes[start] !== OPEN_ARRAY) return null;
  const first = readFirstValue(bytes, start);
  if (first === null) return null;
  if (first.isArray) return JSON_ARRAY;
  const isAlone = first.end === -1 ? true : isWhole && skipBlanks(bytes, first.end) >= bytes.length;
  const known = membersRead(plan);
  const isForeign = known !== null && first.names.length > 0 && !first.names.some((name) => known.has(name));
  if (isForeign && (isAlone || first.isOverLines)) {
    const [list] = first.lists;
    if (list !== undefined) {
      return fileError(
        'FILE_IS_ENVELOPE',
        `The file is one JSON object around the records, which stand in its array ${JSON.stringify(list.slice(0, 40))}: write the objects of that array, one a line${jqCommand(`.${list}[]`)}.`,
      );
    }
    if (isErrorBody(first.names)) {
      return fileError(
        'FILE_IS_ERROR_BODY',
        'The file is the error message of a service, one JSON object, and not data: check what the address answers.',
      );
    }
  }
  if (first.isOverLines) {
    return fileError(
      'FILE_IS_PRETTY_PRINTED',
      `The file holds JSON that is spread over several lines: write each object on one line${jqCommand('.')}.`,
    );
  }
  if (isForeign && isAlone) {
    return fileError(
      'FILE_IS_OTHER_JSON',
      'The file is one JSON object without a single member that the dataset reads: check that the address names the data file.',
    );
  }
  return null;
}

/** ` (\`jq -c '.data[]'\`)`, where the path needs no quotes in jq and no escapes in a shell; else nothing. */
export function jqCommand(path: string): string {
  return /^\.(\w{1,40})?(\[\])?$/.test(path) && !/^\.\d/.test(path) ? ` (\`jq -c '${path}'\`)` : '';
}

/** Top-level members that the contract reads; null when it reads the record as a whole. */
function membersRead({ columns, children }: ContractPlan): ReadonlySet<string> | null {
  const paths = [
    ...columns.flatMap(({ origin }) => (origin.from === 'source' ? [origin.source] : [])),
    ...children.flatMap(({ options }) => ('path' in options ? [options.path] : [])),
  ];
  return paths.includes('') ? null : new Set(paths.map((path) => path.split('.')[0] ?? ''));
}

function isErrorBody(names: readonly string[]): boolean {
  const lower = names.map((name) => name.toLowerCase());
  const hits = lower.filter((name) => ERROR_MEMBERS.includes(name)).length;
  return hits >= 2 || lower.some((name) => SURE_ERROR_MEMBERS.includes(name));
}

/** Walks the value that begins at `start`, as far as the bytes go. @returns null for a broken record */
export function readFirstValue(bytes: Buffer, start: number): FirstValue | null {
  const names: string[] = [];
  const lists: string[] = [];
  const open: number[] = [];
  let isOverLines = false;
  let name: string | null = null;
  const found = (end: number): FirstValue => ({
    isArray: bytes[start] === OPEN_ARRAY,
    names,
    lists,
    isOverLines,
    end,
  });
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      const end = stringEnd(bytes, at);
      if (end === -1) return found(-1);
      if (bytes[end - 1] !== QUOTE) return null;
      if (open.length === 1 && bytes[skipBlanks(bytes, end)] === COLON)
        names.push((name = textOf(bytes, at, end)));
      at = end - 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (
        open.length === 1 &&
        byte === OPEN_ARRAY &&
        name !== null &&
        bytes[skipBlanks(bytes, at + 1)] === OPEN_OBJECT
      )
        lists.push(name);
      open.push(byte);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      open.pop();
      if (open.length === 0) return found(at + 1);
    } else if (byte === LINE_FEED || byte === CARRIAGE_RETURN) {
      if (isCutOff(bytes, at, open.at(-1) === OPEN_OBJECT)) return null;
      isOverLines = true;
    }
  }
  return found(-1);
}

/** Whether the line that ends at `at` is a broken record and not the beginning of a value: another object follows it. */
function isCutOff(bytes: Buffer, at: number, inObject: boolean): boolean {
  if (bytes[skipBlanks(bytes, at)] !== OPEN_OBJECT) return false;
  let before = at - 1;
  while (isBlank(bytes[before])) before -= 1;
  const last = bytes[before];
  return inObject ? last !== COLON : last !== OPEN_ARRAY && last !== COMMA;
}

/** Behind the string's closing quote, or at the line end that breaks it; -1 when the bytes end before. */
function stringEnd(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at += 1) {
    if (bytes[at] === BACKSLASH) at += 1;
    else if (bytes[at] === QUOTE) return at + 1;
    else if (bytes[at] === LINE_FEED) return at;
  }
  return -1;
}

function textOf(bytes: Buffer, start: number, end: number): string {
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as string;
  } catch {
    return bytes.toString('utf8', start + 1, end - 1);
  }
}

function skipBlanks(bytes: Buffer, start: number): number {
  let at = start;
  while (isBlank(bytes[at])) at += 1;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === LINE_FEED || byte === CARRIAGE_RETURN;
}
