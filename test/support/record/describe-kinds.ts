import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CopyText, copyTextOf } from '../../../libs/core/src/record/copy-text.js';
import type { Kind } from '../../../libs/core/src/dataset/kinds.js';

/** A kind, what it accepts and stores it as, and what it refuses. */
export type KindCase = readonly [
  name: string,
  kind: Kind,
  accepted: readonly (readonly [string, string])[],
  refused: readonly string[],
];

/** What holds for every kind: its examples, and that its twins on bytes say and write the same. */
export function describeKinds(cases: readonly KindCase[]): void {
  describe.each(cases.map((one) => [...one] as const))('kind %s', (_, kind, accepted, refused) => {
    const write = kind.write?.bind(kind);

    it.each(accepted.map((one) => [...one] as [string, string]))('stores %s as %s', (value, stored) => {
      expect(kind.accepts(value)).toBe(true);
      expect(kind.toText?.(value) ?? value).toBe(stored);
    });

    it('refuses everything else', () => {
      expect(refused.filter((value) => kind.accepts(value))).toEqual([]);
    });

    it('takes no longer than its text for long runs of one character', () => {
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
          expect(out.take().toString()).toBe(copyTextOf(kind.toText?.(value) ?? value).toString());
        }),
        { numRuns: 500 },
      );
    });
  });
}
