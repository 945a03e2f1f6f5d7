import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import type { Finding } from '#core/finding/finding.js';
import { anyCharacter } from '#test/support/any-character.js';
import { storableDeadLetter, storableText } from './storable-dead-letter.js';

describe('storableDeadLetter', () => {
  it('names each error once, in the order of the findings, and no warning', () => {
    const findings = [finding('B'), finding('W', 'warning'), finding('A'), finding('B')];
    expect(storableDeadLetter(letter({ findings })).codes).toEqual(['B', 'A']);
  });

  it('keeps the bytes as they are and makes the words storable', () => {
    const bytes = Buffer.from([0x00, 0xff, 0xed, 0xa0, 0x80]);
    const stored = storableDeadLetter(
      letter({ bytes, columns: ['a\0'], findings: [{ ...finding('A'), field: 'x\ud800', message: '\0' }] }),
    );
    expect(stored.bytes).toBe(bytes);
    expect(stored.columns).toEqual(['a\u{fffd}']);
    expect(stored.findings).toEqual([{ ...finding('A'), field: 'x\u{fffd}', message: '\u{fffd}' }]);
  });

  it('gives the same columns the same id, and others another one', () => {
    const idOf = (...columns: string[]): string => storableDeadLetter(letter({ columns })).columnsId;
    expect(idOf('a', 'b')).toBe(idOf('a', 'b'));
    expect(
      new Set([idOf(), idOf(''), idOf('a', 'b'), idOf('b', 'a'), idOf('a,b'), idOf('a"', 'b')]).size,
    ).toBe(6);
    expect(idOf('a')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('stores no other member of a finding', () => {
    const wide = { ...finding('A'), more: 'of the record' } as Finding;
    expect(storableDeadLetter(letter({ findings: [wide] })).findings).toEqual([finding('A')]);
  });
});

describe('storableText', () => {
  it('makes any text well-formed and free of NUL, and leaves well-formed text alone', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
        (text) => {
          const stored = storableText(text);
          expect(stored).not.toContain('\0');
          expect(Buffer.from(stored).toString()).toBe(stored);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        expect(storableText(text)).toBe(text.replaceAll('\0', '\u{fffd}'));
      }),
    );
  });
});

function finding(code: string, severity: Finding['severity'] = 'error'): Finding {
  return { code, field: null, message: `${code} is wrong`, severity };
}

function letter(facts: Partial<DeadLetter>): DeadLetter {
  return {
    dataset: 'shops',
    job: '01890000-0000-7000-8000-000000000001',
    batch: 0,
    record: 0,
    line: 2,
    byteStart: 10,
    byteEnd: 20,
    stage: 'validate',
    findings: [],
    sqlstate: null,
    attempt: 0,
    columns: [],
    bytes: Buffer.alloc(0),
    ...facts,
  };
}
