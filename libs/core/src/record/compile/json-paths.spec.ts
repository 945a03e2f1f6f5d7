import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { elementsOf, JsonPaths } from './json-paths.js';

const PATHS = ['', 'a', 'a.b', 'a.b.c', 'b', 'a"\\b', '東.a', 'long name'];

/** What each path finds, parsed; undefined for nothing. */
function find(text: string, paths: readonly string[] = PATHS): unknown[] {
  const before = '{"a":"before"}\n';
  const bytes = Buffer.from(`${before}${text}\n{"a":"behind"}`);
  const found = new JsonPaths(paths);
  found.find(bytes, before.length);
  return paths.map((_, at) => {
    const end = found.ends[at]!;
    return end === -1 ? undefined : (JSON.parse(bytes.toString('utf8', found.starts[at], end)) as unknown);
  });
}

function lookUp(value: unknown, path: string): unknown {
  if (path === '') return value;
  return path.split('.').reduce<unknown>((inner, name) => {
    const isObject = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
    return isObject && Object.hasOwn(inner, name) ? (inner as Record<string, unknown>)[name] : undefined;
  }, value);
}

const name = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'a"\\b', '東', 'long name', '__proto__', '}', '"'),
  fc.string({ maxLength: 3 }),
);
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.constantFrom(null, true, false),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: anyCharacter, maxLength: 5 }),
      name,
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** The same JSON with every character of a name or string as an escape. */
function escaped(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, (quoted) => {
    const units = Array.from({ length: (JSON.parse(quoted) as string).length }, (_, at) =>
      (JSON.parse(quoted) as string).charCodeAt(at),
    );
    return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
  });
}

describe('JsonPaths', () => {
  it('finds what JSON.parse finds, however the text is written', () => {
    const written = fc.tuple(
      json,
      fc.constantFrom('', ' ', '\t', '  '),
      fc.boolean(),
      fc.constantFrom('', ' ', '\r'),
    );
    fc.assert(
      fc.property(written, ([value, indent, escape, around]) => {
        // A record stands on one line: JSON's line breaks become blanks, which mean the same.
        const plain = JSON.stringify(value, undefined, indent).replaceAll('\n', ' ');
        const text = around + (escape ? escaped(plain) : plain) + around;
        const parsed: unknown = JSON.parse(text);
        expect(find(text)).toEqual(PATHS.map((path) => lookUp(parsed, path)));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['{"a":{"b":1},"a":2}', 'a'],
    ['{"a":{"b":1,"\\u0062":2}}', 'a.b'],
    ['{"a":{"b":1},"c":{"b":1}}', null],
    ['{"a":{"x":1,"x":2}}', null],
  ])('says which of its paths stands twice in an object: %s', (text, repeated) => {
    const paths = new JsonPaths(['a', 'a.b', 'c.b']);
    paths.find(Buffer.from(text), 0);
    expect(paths.repeatedPath).toBe(repeated);
    paths.find(Buffer.from('{}'), 0);
    expect(paths.repeatedPath).toBeNull();
  });

  it('gives the bounds of the elements of an array', () => {
    fc.assert(
      fc.property(fc.array(json as fc.Arbitrary<unknown>), fc.constantFrom('', ' '), (values, indent) => {
        const bytes = Buffer.from(JSON.stringify(values, undefined, indent));
        const bounds = elementsOf(bytes, 0);
        const elements = values.map(
          (_, at) => JSON.parse(bytes.toString('utf8', bounds[at * 2], bounds[at * 2 + 1])) as unknown,
        );
        expect(bounds).toHaveLength(values.length * 2);
        expect(elements).toEqual(JSON.parse(JSON.stringify(values)));
      }),
    );
  });
});
