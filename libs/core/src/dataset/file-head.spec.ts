import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bomLength, findWrongEncoding, findWrongKindOfFile } from './file-head.js';

// What each wrong file is called is asked by the prologues' own specs; here, what must not be refused.

const codeOf = (head: Buffer, complete = true): string | undefined => {
  const found = findWrongKindOfFile(head, complete);
  return typeof found === 'object' ? found.code : found;
};

describe('kind of a file', () => {
  it('is never doubted for text, in any language, cut off anywhere', () => {
    const letters = fc.constantFrom(
      'a',
      '1',
      ',',
      '"',
      '\n',
      '\t',
      'ü',
      '統',
      '一',
      '　',
      '𠮷',
      '\u{10FFFD}',
    );
    const text = fc.array(letters, { minLength: 1, maxLength: 400 }).map((all) => `x${all.join('')}`);
    fc.assert(
      fc.property(text, fc.boolean(), fc.nat(), (content, withMark, cut) => {
        const bytes = Buffer.from((withMark ? '\uFEFF' : '') + content);
        const head = bytes.subarray(0, Math.max(bomLength(bytes) + 1, cut % bytes.length));
        expect(codeOf(head)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('is not doubted for some NULs and control characters in a record', () => {
    const records = `name,kind\n${'範例商行,獨資\n'.repeat(40)}a\0b,\x1b\n${'範例商行,獨資\n'.repeat(10)}`;
    expect(codeOf(Buffer.from(records))).toBeUndefined();
  });

  it('is undecided while there are only blanks, and empty when no more comes', () => {
    for (const head of ['', '\uFEFF', ' \r\n\t']) {
      expect(codeOf(Buffer.from(head), false)).toBe('undecided');
      expect(codeOf(Buffer.from(head), true)).toBe('FILE_EMPTY');
    }
  });

  it('is binary where control characters are many', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 512, min: 0, max: 8 }), (noise) => {
        expect(codeOf(Buffer.from([0x7f, ...noise, 0x7f]))).toMatch(/^FILE_(IS_BINARY|NOT_UTF8)$/);
      }),
    );
  });
});

describe('encoding of a line', () => {
  it('is right for UTF-8, and Big5 is called by its name', () => {
    const big5 = Buffer.from('b2cea440bd73b8b9', 'hex');
    expect(findWrongEncoding(Buffer.from('統一編號'))).toBeUndefined();
    expect(findWrongEncoding(big5, '統一編號')?.message).toContain('Big5');
    expect(findWrongEncoding(big5)?.message).toContain('another encoding');
  });
});
