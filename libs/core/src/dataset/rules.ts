/**
 * Rules: what a contract demands of a cleaned value. PURE.
 *
 * A rule is a class-validator decorator (built with `ValidateBy`) whose context carries the code and
 * severity of its finding, and a twin that judges the same value as bytes. class-validator's metadata
 * is the only place where rules stand: the compiler reads it, and class-validator itself is the oracle
 * of the compiler's property test.
 *
 * Invariants
 * - RL1: a rule sees a cleaned, non-null value: trimmed, none of the null tokens, without NUL. A null
 *   passes every rule but `@Required` and `@PairedWith`.
 * - RL2: `accepts` and `acceptsBytes` say the same of every well-formed string.
 * - RL3: the decorators of a property are judged as they are read, from top to bottom (`@Column`'s kind
 *   where `@Column` stands). The first `error`, or the first `warning` that stores another value
 *   (`otherwise`), settles the value: nothing below it is asked. A warning that keeps the value does not.
 *   A rule across columns (`record-rules.ts`) is asked when all columns of its row have been judged.
 * - RL4: a rule gets nothing but the value: what a rule demands never depends on the clock, the
 *   database or the record before.
 */
import { ValidateBy, type ValidationArguments } from '#common/validation/class-validator.js';
import { contractMetadata, noteUnknownOptions } from './contract-metadata.js';
import { areDigits, countCharacters, equalBytes, type Kind } from './kind.js';
import type { Severity } from '../finding/finding.js';
import type { OptionValues } from './dataset.js';

export { areDigits, countCharacters, equalBytes } from './kind.js';

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
  /** Values that the rule accepts, for generated files, where guesses would hardly find one. */
  readonly examples?: readonly string[];
  /** camelCase; names the constraint in class-validator. */
  readonly name: string;
  /** The plain way, and the definition: is this cleaned value as the rule wants it? */
  accepts(value: string): boolean;
  /**
   * The byte twin, for rules that every record meets: the same of the UTF-8 bytes [start, end).
   * Left out, the value is decoded to a string for `accepts`, which costs about 100 ns.
   */
  acceptsBytes?(bytes: Uint8Array, start: number, end: number): boolean;
  /** No text breaks it (`text()`): asking can be left out. */
  readonly acceptsAll?: true;
  /** What is demanded, to follow the field's name: `must be 8 digits`. */
  readonly message: string;
}

/** What a rule across columns demands (`record-rules.ts`). */
export interface RecordRuleDefinition {
  /** camelCase; names the constraint in class-validator. */
  readonly name: string;
  /**
   * Columns that it can be asked of, by their kinds' column types: whole numbers and `numeric`, or days and times of one
   * type. Left out: any.
   */
  readonly of?: 'numbers' | 'times';
  /**
   * @param value what the property stores, as PostgreSQL reads it
   * @param others the same of the named properties, in their order
   */
  accepts(value: string, others: readonly string[]): boolean;
  /** What is demanded, to follow the field's name: `must be the sum of net and tax`. */
  readonly message: string;
}

/** What a property's decorator leaves in class-validator's context under {@link RULE_CONTEXT}. */
export interface RuleContext {
  readonly definition: RuleDefinition;
  readonly code: string;
  readonly severity: SeverityChoice;
  /** Undefined: the value is kept. */
  readonly otherwise: string | null | undefined;
  /**
   * Whether the rule judges nulls, and nothing else (`@Required`), whether two properties are null (`@PairedWith`), or
   * values of several properties (`record`).
   */
  readonly judges: 'value' | 'null' | 'pair' | 'record';
  /** For `pair`: the other property; for `record`: the others, in the rule's order. */
  readonly others?: readonly string[];
  /** For `record`: what it demands. */
  readonly across?: RecordRuleDefinition;
}

export const RULE_CONTEXT = 'sluice';

/** Names of the options of one use of a rule. */
export const RULE_OPTIONS: readonly string[] = ['code', 'severity', 'otherwise'];

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
 * @param definition judged by RL1–RL4
 * @param defaultCode the finding's code where a use names none
 */
export function defineRule(definition: RuleDefinition, defaultCode: string = DEFAULT_CODE) {
  return (use: RuleUse = {}): PropertyDecorator =>
    ruleDecorator(
      {
        definition,
        code: use.code ?? defaultCode,
        severity: use.severity ?? 'error',
        otherwise: use.otherwise,
        judges: 'value',
      },
      use,
    );
}

/** A null is an error (`MISSING_VALUE`), or a warning that stores the column's `ifNull`. */
export function Required(use: RuleUse = {}): PropertyDecorator {
  return ruleDecorator(
    {
      definition: { name: 'required', accepts: () => true, message: 'must not be empty' },
      code: use.code ?? 'MISSING_VALUE',
      severity: use.severity ?? 'error',
      otherwise: use.otherwise,
      judges: 'null',
    },
    use,
  );
}

/**
 * Both or neither: a finding when exactly one of this property and `other` is null. The finding names
 * this property's field. In a child it is asked of slots too that make no row (`rowWhen`).
 */
export function PairedWith(other: string, use: RuleUse = {}): PropertyDecorator {
  return ruleDecorator(
    {
      definition: { name: 'pairedWith', accepts: () => true, message: 'must come together with its partner' },
      code: use.code ?? DEFAULT_CODE,
      severity: use.severity ?? 'error',
      otherwise: use.otherwise,
      judges: 'pair',
      others: [other],
    },
    use,
  );
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
    examples: values,
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

/** What a column of an object stores of its own value; null where that is null, or not of the column's kind. */
function storedText(object: object | undefined, property: string): string | null {
  if (object === undefined) return null;
  const value = (object as Readonly<Record<string, unknown>>)[property];
  const column = contractMetadata(object.constructor).columns.find((one) => one.property === property);
  if (column === undefined) return null;
  // An array is of no kind but those that read one: where it is not, its own check has given a finding.
  const kind = Array.isArray(value) ? column.kind.inJson : column.kind;
  const text: unknown = Array.isArray(value) ? JSON.stringify(value) : value;
  return typeof text === 'string' && kind?.accepts(text) === true ? (kind.toText?.(text) ?? text) : null;
}

/** @internal also used by `@Column` for its kind's own check */
export function ruleDecorator(
  context: RuleContext,
  use: object = {},
  options: readonly string[] = RULE_OPTIONS,
): PropertyDecorator {
  const { definition, judges, others = [], across, code } = context;
  const validate = (value: unknown, args?: ValidationArguments): boolean => {
    const isNull = value === null || value === undefined;
    if (judges === 'null') return !isNull;
    if (judges === 'pair') {
      const partner = (args?.object as Readonly<Record<string, unknown>>)[others[0] ?? ''];
      return isNull === (partner === null || partner === undefined);
    }
    if (judges === 'record') {
      const texts = [args?.property ?? '', ...others].map((property) => storedText(args?.object, property));
      const [own = null, ...rest] = texts;
      if (own === null || rest.some((text) => text === null)) return true;
      return across?.accepts(own, rest as string[]) ?? true;
    }
    if (Array.isArray(value)) return (definition as Kind).inJson?.accepts(JSON.stringify(value)) ?? false;
    return isNull || (typeof value === 'string' && definition.accepts(value));
  };
  // The code is part of the name, so that one rule used twice on a property is two constraints.
  const name = `${definition.name}:${code}`;
  const decorate = ValidateBy(
    {
      name,
      validator: { validate, defaultMessage: (args) => `${args?.property ?? 'value'} ${definition.message}` },
    },
    { context: { [RULE_CONTEXT]: context } },
  );
  return (prototype, key) => {
    const where = `@${definition.name.replace(/^./, (letter) => letter.toUpperCase())} on "${String(key)}"`;
    noteUnknownOptions(prototype.constructor, where, use, options);
    decorate(prototype, key);
  };
}
