import { describe, expect, it } from '@jest/globals';
import { getMetadataStorage, validateSync } from 'class-validator';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import {
  countCharacters,
  defineRule,
  Digits,
  Matches,
  MaxCharacters,
  OneOf,
  PairedWith,
  Required,
  RULE_CONTEXT,
  type RuleContext,
} from './rules.js';

/** What the decorator left for the compiler. */
function ruleOf(decorator: PropertyDecorator): RuleContext {
  class Sample {}
  decorator(Sample.prototype, 'value');
  const [metadata] = getMetadataStorage().getTargetValidationMetadatas(Sample, '', false, false);
  return (metadata?.context as Record<string, RuleContext>)[RULE_CONTEXT]!;
}

describe.each<[string, PropertyDecorator, string[], string[]]>([
  ['Digits', Digits(3), ['000', '123'], ['', '12', '1234', '12a', '１２３', '-12']],
  [
    'MaxCharacters',
    MaxCharacters(3),
    ['', 'abc', '東區路', '𠮷𠮷𠮷', '\ue000'],
    // PostgreSQL counts code points: the variation selector and the joined family count each.
    ['abcd', '東區路號', '𠮷𠮷𠮷𠮷', '葛\u{e0100}城市', '👨‍👩‍👧'],
  ],
  ['OneOf', OneOf(['a', '東區']), ['a', '東區'], ['', 'A', 'a ', '東', '東區路']],
])('%s', (_, decorator, accepted, refused) => {
  const { definition } = ruleOf(decorator);

  it.each([
    ...accepted.map((value) => [value, true] as const),
    ...refused.map((value) => [value, false] as const),
  ])('of %j says %s', (value, expected) => {
    expect(definition.accepts(value)).toBe(expected);
  });

  it('says the same on bytes (RL2)', () => {
    const unit = fc.constantFrom('1', '0', '９', 'a', '東', '區', '𠮷', '\u{e0100}', '\ue000', ' ');
    const value = fc.oneof(fc.constantFrom(...accepted, ...refused), fc.string({ unit, maxLength: 6 }));
    fc.assert(
      fc.property(value, fc.constantFrom('', '1', '東'), (text, around) => {
        const bytes = Buffer.from(around + text + around);
        const start = Buffer.byteLength(around);
        expect(definition.acceptsBytes?.(bytes, start, bytes.length - start)).toBe(definition.accepts(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('rules', () => {
  const NotZero = defineRule(
    { name: 'notZero', accepts: (value) => value !== '0', message: 'must not be 0' },
    'ZERO',
  );

  class Sample {
    @Required({ code: 'NO_CODE' })
    @Digits(2, { code: 'BAD_CODE', severity: 'warning', otherwise: null })
    @Digits(1, { code: 'LONG_CODE' })
    code: string | null = null;

    @PairedWith('code', { code: 'ORPHAN', severity: 'warning' })
    name: string | null = null;

    @NotZero()
    @Matches(/^[0-9]+$/g)
    count: string | null = null;
  }

  function failing(values: Partial<Sample>): Record<string, string> {
    const errors = validateSync(Object.assign(new Sample(), values));
    return Object.fromEntries(
      errors.flatMap(({ constraints = {}, contexts = {} }) =>
        Object.entries(constraints).map(([name, message]) => {
          const { code } = (contexts[name] as Record<string, RuleContext>)[RULE_CONTEXT]!;
          return [code, message];
        }),
      ),
    );
  }

  it('are what class-validator says, code by code', () => {
    expect(failing({})).toEqual({ NO_CODE: 'code must not be empty' });
    expect(failing({ code: '1', name: 'x' })).toEqual({ BAD_CODE: 'code must be exactly 2 digits' });
    expect(Object.keys(failing({ code: 'x', count: '0' })).sort()).toEqual([
      'BAD_CODE',
      'LONG_CODE',
      'ORPHAN',
      'ZERO',
    ]);
    expect(failing({ code: '12', name: 'x', count: 'a' })).toMatchObject({
      INVALID_VALUE: expect.stringContaining('count must'),
    });
  });

  it('ask nothing of a null but to be there, or to be two (RL1)', () => {
    expect(Object.keys(failing({ name: 'x', count: null }))).toEqual(['NO_CODE', 'ORPHAN']);
  });

  it('ask a pattern from its start each time, with any flags', () => {
    const { definition } = ruleOf(Matches(/a/gy));
    expect([definition.accepts('a'), definition.accepts('a')]).toEqual([true, true]);
  });
});

describe('countCharacters', () => {
  it('counts as PostgreSQL does, in code points', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        const bytes = Buffer.from(text);
        expect(countCharacters(bytes, 0, bytes.length)).toBe(Array.from(text).length);
      }),
    );
  });
});
