import { isUtf8 } from 'node:buffer';
import { elementsOf, JsonPaths, skipBlanks } from '../record/compile/json-paths.js';
import type { CorrectionFault, FieldText, FoundField } from './correct-record.js';
import { problemOf } from './csv-field-text.js';

const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
const CLOSE_OBJECT = 0x7d;
const QUOTE = 0x22;

/** Where a value stands; or, where its object lacks the member, where it is to be inserted, and by what name. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly insert: { readonly name: string; readonly isFirst: boolean } | null;
}

/** A step of a path: a member, an element, or all elements. */
type Step = string | number | null;

/**
 * Finds the values at a path of a JSON record (CO1 to CO3 of `correct-record.ts`). PURE.
 * A value that was a text is written as a text; any other one as JSON where what is given is JSON, else as a text.
 */
export function correctJson(bytes: Buffer, field: string): FoundField | CorrectionFault {
  if (!isJson(bytes)) return { reason: 'MALFORMED', message: 'it is not JSON' };
  const places: Place[] = [];
  const start = skipBlanks(bytes, 0);
  const whole = { start, end: bytes.toString('latin1').trimEnd().length, insert: null };
  const fault = find(bytes, whole, stepsOf(field), places);
  if (fault !== null) return fault;
  if (places.length === 0) return { reason: 'FIELD_UNKNOWN', message: 'the record has no such field' };
  return {
    values: places.map((place) => textAt(bytes, place)),
    write: (values) => written(bytes, places, values),
  };
}

function find(bytes: Buffer, at: Place, steps: readonly Step[], places: Place[]): CorrectionFault | null {
  const [step, ...rest] = steps;
  if (step === undefined) {
    places.push(at);
    return null;
  }
  if (at.insert !== null) return UNKNOWN;
  if (typeof step === 'string') {
    const member = memberAt(bytes, at, step);
    return 'reason' in member ? member : find(bytes, member, rest, places);
  }
  if (bytes[at.start] !== OPEN_ARRAY) return UNKNOWN;
  const bounds = elementsOf(bytes, at.start);
  const elements = step === null ? Array.from({ length: bounds.length / 2 }, (_, index) => index) : [step];
  for (const index of elements) {
    const [start, end] = [bounds[index * 2], bounds[index * 2 + 1]];
    if (start === undefined || end === undefined) return UNKNOWN;
    const fault = find(bytes, { start, end, insert: null }, rest, places);
    if (fault !== null) return fault;
  }
  return null;
}

function memberAt(bytes: Buffer, { start, end }: Place, name: string): Place | CorrectionFault {
  if (bytes[start] !== OPEN_OBJECT) return UNKNOWN;
  const paths = new JsonPaths([name]);
  paths.find(bytes, start);
  const [from = 0, to = -1] = [paths.starts[0], paths.ends[0]];
  const isRepeated = paths.repeatedPath !== null;
  paths.release();
  if (isRepeated)
    return { reason: 'FIELD_AMBIGUOUS', message: 'the record has two members of this name in one object' };
  if (to !== -1) return { start: from, end: to, insert: null };
  const isFirst = bytes[skipBlanks(bytes, start + 1)] === CLOSE_OBJECT;
  return { start: end - 1, end: end - 1, insert: { name, isFirst } };
}

const UNKNOWN: CorrectionFault = { reason: 'FIELD_UNKNOWN', message: 'the record has no such field' };

function textAt(bytes: Buffer, { start, end, insert }: Place): FieldText {
  if (insert !== null) return null;
  const text = bytes.toString('utf8', start, end);
  if (text === 'null') return null;
  return bytes[start] === QUOTE ? (JSON.parse(text) as string) : text;
}

function written(
  bytes: Buffer,
  places: readonly Place[],
  values: readonly FieldText[],
): Buffer | CorrectionFault {
  const parts: Buffer[] = [];
  let kept = 0;
  // Places stand in the order of the text.
  for (const [index, place] of places.entries()) {
    const value = values[index] ?? null;
    const problem = value === null ? null : problemOf(value);
    if (problem !== null) return problem;
    const json = jsonOf(value, place.insert === null && bytes[place.start] === QUOTE);
    const { insert } = place;
    const text =
      insert === null ? json : `${insert.isFirst ? '' : ','}${JSON.stringify(insert.name)}:${json}`;
    parts.push(bytes.subarray(kept, place.start), Buffer.from(text));
    kept = place.end;
  }
  return Buffer.concat([...parts, bytes.subarray(kept)]);
}

function jsonOf(value: FieldText, wasText: boolean): string {
  if (value === null) return 'null';
  if (!wasText && isJson(Buffer.from(value))) return value.trim().replace(/[\r\n]/g, ' ');
  return JSON.stringify(value);
}

export function isJson(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false;
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

/** `items[2].price` → `items`, 2, `price`; `items[].price` → `items`, null, `price` */
function stepsOf(field: string): Step[] {
  const steps: Step[] = [];
  for (const [at, part] of field.split(/\[(\d{0,9})\]\.?/).entries()) {
    if (at % 2 === 1) steps.push(part === '' ? null : Number(part));
    else if (part !== '') steps.push(...part.split('.'));
  }
  return steps;
}
