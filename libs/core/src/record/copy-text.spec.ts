import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { CopyText, copyTextOf } from './copy-text.js';

/** Strings that meet every trap of the format often. */
const trickyText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('\\', '\\.', '\\N', '\t', '\n', '\r', 'N', '.', 'x41', '0', '\x08', '\x7f'),
      fc.string({ unit: anyCharacter, maxLength: 3 }),
    ),
    maxLength: 12,
  })
  .map((text) => text.replaceAll('\0', ''));

function write(rows: readonly (readonly (string | null)[])[], capacity: number): CopyText {
  const out = new CopyText(capacity);
  for (const row of rows) {
    row.forEach((value, at) => {
      if (at > 0) out.endColumn();
      if (value === null) out.null();
      else out.value(Buffer.from(value), 0, Buffer.byteLength(value));
    });
    out.endRow();
  }
  return out;
}

describe('CopyText', () => {
  it('writes any values so that they read back as they were (CT1)', () => {
    const rows = fc.integer({ min: 1, max: 4 }).chain((columns) =>
      fc.array(fc.array(fc.option(trickyText), { minLength: columns, maxLength: columns }), {
        maxLength: 8,
      }),
    );
    fc.assert(
      fc.property(rows, fc.constantFrom(1, 16, 4096), (values, capacity) => {
        const out = write(values, capacity);
        expect(out.rows).toBe(values.length);
        expect(readCopyText(out.take())).toEqual(values);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['a lone backslash and dot, which would end the COPY', '\\.', '\\\\.'],
    ['what would be NULL', '\\N', '\\\\N'],
    ['a backslash before a character, which would vanish', 'a\\b', 'a\\\\b'],
    ['tab, line feed, carriage return', '\t\n\r', '\\t\\n\\r'],
    ['other control characters', '\x01\x08\x0b\x0c\x7f', '\x01\x08\x0b\x0c\x7f'],
    ['private use, four bytes, full width', '\ue000𠮷３', '\ue000𠮷３'],
    ['nothing', '', ''],
  ])('writes %s', (_, value, expected) => {
    expect(copyTextOf(value).toString()).toBe(expected);
  });

  it('writes NULL as such', () => {
    expect(copyTextOf(null).toString()).toBe('\\N');
  });

  it('writes counts in decimal digits', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (count) => {
        const out = new CopyText(1);
        out.count(count);
        expect(out.take().toString()).toBe(String(count));
      }),
    );
    const out = new CopyText();
    for (const count of [0, 9, 10, 99, 100, Number.MAX_SAFE_INTEGER]) {
      out.count(count);
      out.endColumn();
    }
    expect(out.take().toString()).toBe('0\t9\t10\t99\t100\t9007199254740991\t');
  });

  it('takes back what was written since the mark', () => {
    const out = write([['kept']], 4);
    out.mark();
    out.ascii('gone');
    out.endRow();
    out.rewind();
    expect(out.rows).toBe(1);
    expect(out.take().toString()).toBe('kept\n');
    expect(out.rows).toBe(0);
  });
});
