/** Kinds of words: texts, texts of a list, identifiers. PURE. */
import { countCharacters, defineKind, equalBytes, type Kind, kindInvalid } from './kind.js';

/** Any text. Its length is `@MaxCharacters`' business, or `varchar`'s. */
export function text(): Kind {
  return defineKind({
    name: 'text',
    columnType: 'text',
    accepts: () => true,
    acceptsAll: true,
    message: 'must be text',
  });
}

/** No `varchar` of PostgreSQL is longer. */
const MAX_VARCHAR = 10_485_760;

/** A text of at most `limit` characters (`FIELD_TOO_LONG`), counted as PostgreSQL counts: in code points. */
export function varchar(limit: number): Kind {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_VARCHAR) {
    throw kindInvalid(`varchar(${limit})`, `its length must be a whole number from 1 to ${MAX_VARCHAR}`);
  }
  return defineKind({
    name: 'varchar',
    columnType: `varchar(${limit})`,
    code: 'FIELD_TOO_LONG',
    accepts: (value) => value.length <= limit || Array.from(value).length <= limit,
    // A character takes 1 to 4 bytes: few bytes cannot be too many characters.
    acceptsBytes: (bytes, start, end) => end - start <= limit || countCharacters(bytes, start, end) <= limit,
    message: `must have at most ${limit} characters`,
  });
}

/** A boolean, by the listed words for true and false. */
export function flag(words: { readonly true: readonly string[]; readonly false: readonly string[] }): Kind {
  const both = words.true.find((word) => words.false.includes(word));
  if (both !== undefined) throw kindInvalid('flag', `${JSON.stringify(both)} would be true and false`);
  const yes = words.true.map((word) => Buffer.from(word));
  const no = words.false.map((word) => Buffer.from(word));
  return defineKind({
    name: 'flag',
    examples: [...words.true, ...words.false],
    columnType: 'boolean',
    accepts: (value) => words.true.includes(value) || words.false.includes(value),
    acceptsBytes: (bytes, start, end) =>
      placeIn(yes, bytes, start, end) !== -1 || placeIn(no, bytes, start, end) !== -1,
    message: `must be one of ${[...words.true, ...words.false].join(', ')}`,
    toText: (value) => (words.true.includes(value) ? 'true' : 'false'),
    write: (bytes, start, end, out) => {
      out.ascii(placeIn(yes, bytes, start, end) === -1 ? 'false' : 'true');
    },
  });
}

/** One of the listed texts, exactly. A derived table checks the same. */
export function enumOf(values: readonly string[]): Kind {
  refuseBadWords('enumOf', values);
  const encoded = values.map((value) => Buffer.from(value));
  return defineKind({
    name: 'enumOf',
    examples: values,
    columnType: 'text',
    check: (column) => `${column} IN (${values.map(sqlText).join(', ')})`,
    accepts: (value) => values.includes(value),
    acceptsBytes: (bytes, start, end) => placeIn(encoded, bytes, start, end) !== -1,
    message: `must be one of ${values.join(', ')}`,
  });
}

/** One of the source's words, each stored as its own text: `mapped({ A: 'active', X: 'closed' })`. */
export function mapped(words: Readonly<Record<string, string>>): Kind {
  const given = Object.keys(words);
  const stored = Object.values(words);
  refuseBadWords('mapped', given);
  const odd = stored.find((value) => typeof value !== 'string' || value.includes('\0'));
  if (odd !== undefined) throw kindInvalid('mapped', `${JSON.stringify(odd)} cannot be stored as text`);
  const from = given.map((word) => Buffer.from(word));
  const to = stored.map((value) => Buffer.from(value));
  return defineKind({
    name: 'mapped',
    examples: given,
    columnType: 'text',
    check: (column) => `${column} IN (${[...new Set(stored)].map(sqlText).join(', ')})`,
    accepts: (value) => Object.hasOwn(words, value),
    acceptsBytes: (bytes, start, end) => placeIn(from, bytes, start, end) !== -1,
    message: `must be one of ${given.join(', ')}`,
    toText: (value) => words[value] ?? value,
    write: (bytes, start, end, out) => {
      const value = to[placeIn(from, bytes, start, end)] ?? NOTHING;
      out.value(value, 0, value.length);
    },
  });
}

const NOTHING = Buffer.alloc(0);
const UUID_DASHES = [8, 13, 18, 23];
const UUID_LENGTH = 36;

/** `550e8400-e29b-41d4-a716-446655440000`, upper or lower case, of any version. PostgreSQL's other spellings are refused. */
export function uuid(): Kind {
  return defineKind({
    name: 'uuid',
    columnType: 'uuid',
    accepts: (value) =>
      /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/.test(value),
    acceptsBytes: (bytes, start, end) => {
      if (end - start !== UUID_LENGTH) return false;
      for (let at = 0; at < UUID_LENGTH; at += 1) {
        const byte = bytes[start + at] ?? 0;
        if (UUID_DASHES.includes(at) ? byte !== 0x2d : !isHexDigit(byte)) return false;
      }
      return true;
    },
    message: 'must be a UUID, 8-4-4-4-12 hexadecimal digits',
  });
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}

function placeIn(list: readonly Buffer[], bytes: Uint8Array, start: number, end: number): number {
  for (let at = 0; at < list.length; at += 1) {
    if (equalBytes(bytes, start, end, list[at] as Buffer)) return at;
  }
  return -1;
}

function refuseBadWords(kind: string, words: readonly string[]): void {
  if (words.length === 0) throw kindInvalid(kind, 'it lists nothing');
  const odd = words.find((word) => typeof word !== 'string' || word.includes('\0'));
  if (odd !== undefined) throw kindInvalid(kind, `${JSON.stringify(odd)} cannot be in a text`);
  const repeated = words.find((word, at) => words.indexOf(word) !== at);
  if (repeated !== undefined) throw kindInvalid(kind, `${JSON.stringify(repeated)} is listed twice`);
}

function sqlText(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
