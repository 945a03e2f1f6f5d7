/**
 * Rules: what a contract demands of a cleaned value. PURE.
 *
 * A rule is a class-validator decorator (built with `ValidateBy`) whose context carries the code and
 * severity of its finding, and a twin that judges the same value as bytes. class-validator's metadata
 * is the only place where rules stand: the compiler reads it, and class-validator itself is the oracle
 * of the compiler's property test.
 *
 * Invariants
 * - R1: a rule sees a cleaned, non-null value: trimmed, not one of the null tokens, without NUL. A null
 *   passes every rule but `@Required` and `@PairedWith`.
 * - R2: `accepts` and `acceptsBytes` say the same of every well-formed string.
 * - R3: the decorators of a property are judged as they are read, from top to bottom (`@Column`'s kind
 *   where `@Column` stands). The first `error`, or the first `warning` that stores another value
 *   (`otherwise`), settles the value: nothing below it is asked. A warning that keeps the value does not.
 * - R4: a rule is told nothing but the value: what a rule demands never depends on the clock, the
 *   database or the record before.
 */
import { ValidateBy, type ValidationArguments } from 'class-validator';
import type { Severity } from '../record/finding.js';
import type { OptionValues } from './dataset.js';

/** How grave a broken rule is: fixed, or by the job's options (`off`: the rule is not asked in this job). */
export type SeverityChoice = Severity | ((options: OptionValues) => Severity | 'off');

/** One use of a rule on one property. */
export interface RuleUse {
  /** The finding's code, e.g. `INVALID_BAN`; each rule has a general one as its default. */
  readonly code?: string;
  /** Default `error`. */
  readonly severity?: SeverityChoice;
  /**
   * What is stored when a `warning` is given, as PostgreSQL reads it (`'0'`, `'false'`, null for NULL).
   * Left out: the value itself is stored all the same.
   */
  readonly otherwise?: string | null;
}

/** What a rule demands. */
export interface RuleDefinition {
  /** camelCase; names the constraint in class-validator. */
  readonly name: string;
  /** The plain way, and the definition: is this cleaned value as the rule wants it? */
  accepts(value: string): boolean;
  /**
   * The byte twin, for rules on the way of every record: the same of the UTF-8 bytes [start, end).
   * Left out, the value is decoded to a string for `accepts`, which costs about 100 ns.
   */
  acceptsBytes?(bytes: Uint8Array, start: number, end: number): boolean;
  /** No text breaks it (`text()`): asking can be left out. */
  readonly acceptsAll?: true;
  /** What is demanded, to follow the field's name: `must be 8 digits`. */
  readonly message: string;
}

/** What a property's decorator leaves in class-validator's context under {@link RULE_CONTEXT}. */
export interface RuleContext {
  readonly definition: RuleDefinition;
  readonly code: string;
  readonly severity: SeverityChoice;
  /** Undefined: the value is kept. */
  readonly otherwise: string | null | undefined;
  /** Whether the rule judges nulls, and nothing else (`@Required`), or two properties (`@PairedWith`). */
  readonly judges: 'value' | 'null' | 'pair';
  /** For `pair`: the other property. */
  readonly other?: string;
}

export const RULE_CONTEXT = 'sluice';

/** The code of a finding whose rule or kind was given none. */
export const DEFAULT_CODE = 'INVALID_VALUE';

/**
 * Makes a decorator of a rule, for a contract's own folder too:
 *
 *     export const OddNumber = defineRule({
 *       name: 'oddNumber',
 *       accepts: (value) => /[13579]$/.test(value),
 *       acceptsBytes: (bytes, _start, end) => ((bytes[end - 1] ?? 0) & 1) === 1,
 *       message: 'must be odd',
 *     });
 *     …
 *     @OddNumber({ code: 'NOT_ODD', severity: 'warning', otherwise: null })
 *
 * @param definition judged by R1–R4
 * @param defaultCode the finding's code where a use names none
 */
export function defineRule(definition: RuleDefinition, defaultCode: string = DEFAULT_CODE) {
  return (use: RuleUse = {}): PropertyDecorator =>
    ruleDecorator({
      definition,
      code: use.code ?? defaultCode,
      severity: use.severity ?? 'error',
      otherwise: use.otherwise,
      judges: 'value',
    });
}

/** A null is an error (`MISSING_VALUE`), or a warning that stores the column's `ifNull`. */
export function Required(use: RuleUse = {}): PropertyDecorator {
  return ruleDecorator({
    definition: { name: 'required', accepts: () => true, message: 'must not be empty' },
    code: use.code ?? 'MISSING_VALUE',
    severity: use.severity ?? 'error',
    otherwise: use.otherwise,
    judges: 'null',
  });
}

/**
 * Both or neither: a finding when exactly one of this property and `other` is null. The finding names
 * this property's field. In a child it is asked of slots too that make no row (`rowWhen`).
 */
export function PairedWith(other: string, use: RuleUse = {}): PropertyDecorator {
  return ruleDecorator({
    definition: { name: 'pairedWith', accepts: () => true, message: 'must come together with its partner' },
    code: use.code ?? DEFAULT_CODE,
    severity: use.severity ?? 'error',
    otherwise: use.otherwise,
    judges: 'pair',
    other,
  });
}

/** Exactly `count` ASCII digits; full-width digits are refused. */
export function Digits(count: number, use?: RuleUse): PropertyDecorator {
  const pattern = new RegExp(`^[0-9]{${count}}$`);
  return defineRule({
    name: 'digits',
    accepts: (value) => pattern.test(value),
    acceptsBytes: (bytes, start, end) => end - start === count && areDigits(bytes, start, end),
    message: `must be exactly ${count} digits`,
  })(use);
}

/**
 * At most `limit` characters (`FIELD_TOO_LONG`), counted as PostgreSQL counts: in code points.
 * (class-validator's own `MaxLength` leaves variation selectors out, PostgreSQL does not.)
 */
export function MaxCharacters(limit: number, use?: RuleUse): PropertyDecorator {
  return defineRule(
    {
      name: 'maxCharacters',
      accepts: (value) => value.length <= limit || Array.from(value).length <= limit,
      // A character takes 1 to 4 bytes: few bytes cannot be too many characters.
      acceptsBytes: (bytes, start, end) =>
        end - start <= limit || countCharacters(bytes, start, end) <= limit,
      message: `must have at most ${limit} characters`,
    },
    'FIELD_TOO_LONG',
  )(use);
}

/** One of the listed values, exactly. */
export function OneOf(values: readonly string[], use?: RuleUse): PropertyDecorator {
  const encoded = values.map((value) => Buffer.from(value));
  return defineRule({
    name: 'oneOf',
    accepts: (value) => values.includes(value),
    acceptsBytes: (bytes, start, end) => encoded.some((one) => equalBytes(bytes, start, end, one)),
    message: `must be one of ${values.join(', ')}`,
  })(use);
}

/** Fits the pattern (which should be anchored). Judged as a string: not for the way of every record. */
export function Matches(pattern: RegExp, use?: RuleUse): PropertyDecorator {
  const stateless = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
  return defineRule({
    name: 'matches',
    accepts: (value) => stateless.test(value),
    message: `must have the form ${stateless.source}`,
  })(use);
}

/** Whether all of [start, end) are ASCII digits; true of nothing. */
export function areDigits(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) return false;
  }
  return true;
}

/** Code points in well-formed UTF-8: every byte that does not continue another one. */
export function countCharacters(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) {
    if (((bytes[at] ?? 0) & 0xc0) !== 0x80) count += 1;
  }
  return count;
}

export function equalBytes(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let at = 0; at < other.length; at += 1) {
    if (bytes[start + at] !== other[at]) return false;
  }
  return true;
}

/** @internal also used by `@Column` for its kind's own check */
export function ruleDecorator(context: RuleContext): PropertyDecorator {
  const { definition, judges, other, code } = context;
  const validate = (value: unknown, args?: ValidationArguments): boolean => {
    const isNull = value === null || value === undefined;
    if (judges === 'null') return !isNull;
    if (judges === 'pair') {
      const partner = (args?.object as Readonly<Record<string, unknown>>)[other ?? ''];
      return isNull === (partner === null || partner === undefined);
    }
    return isNull || (typeof value === 'string' && definition.accepts(value));
  };
  // The code is part of the name, so that one rule used twice on a property is two constraints.
  const name = `${definition.name}:${code}`;
  return ValidateBy(
    {
      name,
      validator: { validate, defaultMessage: (args) => `${args?.property ?? 'value'} ${definition.message}` },
    },
    { context: { [RULE_CONTEXT]: context } },
  );
}
