import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CopyText } from '../record/copy-text.js';
import { flag, int64, isoDate, jsonb, type Kind, numeric, text, timestamptz } from './kinds.js';

const words = flag({ true: ['Y', 'yes'], false: ['N', '否'] });

describe.each<[string, Kind, [string, string][], string[]]>([
  ['text', text(), [['any', 'any']], []],
  [
    'int64',
    int64(),
    [
      ['0', '0'],
      ['-1', '-1'],
      ['007', '007'],
      ['9223372036854775807', '9223372036854775807'],
      ['-9223372036854775808', '-9223372036854775808'],
      ['00000000000000000000000001', '00000000000000000000000001'],
    ],
    [
      '',
      '-',
      '+1',
      '1.0',
      '1e3',
      '1,234',
      '１２',
      ' 1',
      '9223372036854775808',
      '-9223372036854775809',
      '99999999999999999999',
    ],
  ],
  [
    'int64, not negative, commas removed',
    int64({ nonNegative: true, removeCommas: true }),
    [
      ['1,234,567', '1234567'],
      [',1,', '1'],
      ['9,223,372,036,854,775,807', '9223372036854775807'],
    ],
    ['-1', '-0', ',', '1.234', '9,223,372,036,854,775,808'],
  ],
  [
    'numeric',
    numeric(),
    [
      ['0', '0'],
      ['-12.50', '-12.50'],
      ['.5', '.5'],
    ],
    ['', '.', '-', '1.', '1e5', 'NaN', 'Infinity', '1,5'],
  ],
  [
    'numeric(5,2)',
    numeric({ precision: 5, scale: 2 }),
    [
      ['999.99', '999.99'],
      ['0001.100', '0001.100'],
      ['-0.01', '-0.01'],
    ],
    ['1000', '1.005', '1000.00'],
  ],
  [
    'flag',
    words,
    [
      ['Y', 'true'],
      ['yes', 'true'],
      ['N', 'false'],
      ['否', 'false'],
    ],
    ['y', 'YES', 'true', 'Y '],
  ],
  [
    'isoDate',
    isoDate(),
    [
      ['2024-02-29', '2024-02-29'],
      ['0001-01-01', '0001-01-01'],
      ['2000-02-29', '2000-02-29'],
    ],
    [
      '2023-02-29',
      '1900-02-29',
      '2024-13-01',
      '2024-00-01',
      '2024-04-31',
      '0000-01-01',
      'infinity',
      '24-01-01',
      '2024-1-1',
      '2024-01-01T00:00:00Z',
    ],
  ],
  [
    'timestamptz',
    timestamptz(),
    [
      ['2026-09-01T08:30:00Z', '2026-09-01T08:30:00Z'],
      ['2026-09-01 08:30+08', '2026-09-01 08:30+08'],
      ['2026-09-01T23:59:59.123456789-04:30', '2026-09-01T23:59:59.123456789-04:30'],
    ],
    [
      '2026-09-01',
      '2026-09-01T08:30:00',
      '2026-09-31T08:30:00Z',
      '2026-09-01T24:00:00Z',
      '2026-09-01T08:60:00Z',
      '2026-09-01T08:30:60Z',
      '0000-01-01T00:00:00Z',
      'infinity',
      '-infinity',
      '2026-09-01T08:30:00+15',
    ],
  ],
  [
    'jsonb',
    jsonb(),
    [
      ['{"a": [1.50, 12345678901234567890]}', '{"a": [1.50, 12345678901234567890]}'],
      ['"\\ud842\\udfb7"', '"\\ud842\\udfb7"'],
      ['null', 'null'],
    ],
    [
      '',
      '{',
      '"\\u0000"',
      '{"\\u0000": 1}',
      '["\\ud842"]',
      '{"a\\udc00": 1}',
      `${'['.repeat(201)}${']'.repeat(201)}`,
    ],
  ],
])('kind %s', (_, kind, accepted, refused) => {
  const write = kind.write?.bind(kind);

  it.each(accepted)('stores %s as %s', (value, stored) => {
    expect(kind.accepts(value)).toBe(true);
    expect(kind.toText?.(value) ?? value).toBe(stored);
  });

  it('refuses everything else', () => {
    expect(refused.filter((value) => kind.accepts(value))).toEqual([]);
  });

  it('takes no longer than its text for long runs of one letter', () => {
    // Where time grew with the square of the length, this would not end within the test's time.
    for (const letter of ['0', '9', ' ', '-', '.', ',', '[']) {
      for (const rest of ['', 'x', '.0'])
        expect(typeof kind.accepts(letter.repeat(250_000) + rest)).toBe('boolean');
    }
  });

  it('says and writes the same on bytes', () => {
    const samples = [...accepted.map(([value]) => value), ...refused];
    const near = fc
      .tuple(
        fc.constantFrom(...samples, 'x'),
        fc.nat(30),
        fc.constantFrom('', '0', '9', '-', ',', '.', 'Y', '東', 'x'),
      )
      .map(([sample, at, more]) => sample.slice(0, at) + more + sample.slice(at));
    const digits = fc.string({ unit: fc.constantFrom('0', '1', '9', '8', '-', ','), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(near, digits), fc.constantFrom('', '1', 'Y'), (value, around) => {
        const bytes = Buffer.from(around + value + around);
        const start = around.length;
        const end = bytes.length - around.length;
        const accepts = kind.accepts(value);
        if (kind.acceptsBytes !== undefined) expect(kind.acceptsBytes(bytes, start, end)).toBe(accepts);
        if (!accepts || write === undefined) return;
        const out = new CopyText();
        write(bytes, start, end, out);
        expect(out.take().toString()).toBe(kind.toText?.(value) ?? value);
      }),
      { numRuns: 500 },
    );
  });
});
