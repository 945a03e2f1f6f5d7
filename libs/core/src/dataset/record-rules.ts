/**
 * Rules across columns of one record: what a value must be in view of others. PURE.
 *
 *     @Column({ kind: numeric({ precision: 12, scale: 2 }) })
 *     @SumOf(['net', 'tax'], { code: 'WRONG_TOTAL' })
 *     total!: string;
 *
 * Such a rule stands on the column that its finding names. It is asked when all columns of the row have been judged, of the
 * record's own values: not of what a warning stores in their place, nor of what `ifNull` stores. It passes where one of them is
 * null, and where one is not of its kind, which has a finding already. It judges what the values mean: `1.234,50` by its
 * kind's text, 1234.50. It has no `otherwise`: which of the values is wrong is not known.
 */
import { decimalOf, isEqual, productOf, rounded, sumOf } from './exact-decimal.js';
import { momentOf } from './moment-order.js';
import {
  DEFAULT_CODE,
  type RecordRuleDefinition,
  ruleDecorator,
  type RuleUse,
  type SeverityChoice,
} from './rules.js';

/** One use of a rule across columns: as of another rule, without `otherwise`. */
export interface RecordRuleUse {
  readonly code?: string;
  /** Default `error`; a `warning` keeps all values. */
  readonly severity?: SeverityChoice;
}

const RECORD_RULE_OPTIONS = ['code', 'severity', 'otherwise'];

/**
 * Makes a decorator of a rule across columns, for a contract's own folder:
 *
 *     export const SameCurrency = defineRecordRule({
 *       name: 'sameCurrency',
 *       accepts: (value, [total = '']) => value.slice(-3) === total.slice(-3),
 *       message: 'must be of the same currency as its total',
 *     });
 *     …
 *     @SameCurrency(['total'], { code: 'MIXED_CURRENCIES' })
 *
 * @param definition `accepts` gets the texts that are stored: the property's own, and those of the named ones in their order
 */
export function defineRecordRule(
  definition: RecordRuleDefinition,
  defaultCode: string = DEFAULT_CODE,
  options: readonly string[] = RECORD_RULE_OPTIONS,
) {
  return (properties: readonly string[], use: RecordRuleUse = {}): PropertyDecorator =>
    ruleDecorator(
      {
        definition: { name: definition.name, accepts: () => true, message: definition.message },
        code: use.code ?? defaultCode,
        severity: use.severity ?? 'error',
        // What it is given besides is refused when the contract is compiled.
        otherwise: (use as RuleUse).otherwise,
        judges: 'record',
        others: properties,
        across: definition,
      },
      use,
      options,
    );
}

/** The sum of the named columns, exactly. */
export function SumOf(properties: readonly string[], use: RecordRuleUse = {}): PropertyDecorator {
  return defineRecordRule({
    name: 'sumOf',
    of: 'numbers',
    accepts: (value, others) => isEqual(decimalOf(value), sumOf(others.map(decimalOf))),
    message: `must be the sum of ${properties.join(' and ')}`,
  })(properties, use);
}

/** The product of the named columns: exactly, or with `scale` rounded to that many digits after the point, halves away from zero. */
export function ProductOf(
  properties: readonly string[],
  use: RecordRuleUse & { readonly scale?: number } = {},
): PropertyDecorator {
  const { scale } = use;
  const rounding = scale === undefined ? '' : `, rounded to ${scale} digits`;
  return defineRecordRule(
    {
      name: 'productOf',
      of: 'numbers',
      accepts: (value, others) => {
        const product = productOf(others.map(decimalOf));
        return isEqual(decimalOf(value), scale === undefined ? product : rounded(product, scale));
      },
      message: `must be the product of ${properties.join(' and ')}${rounding}`,
    },
    DEFAULT_CODE,
    [...RECORD_RULE_OPTIONS, 'scale'],
  )(properties, use);
}

/** A day or time that is the other column's, or later. Both are of one type. */
export function NotBefore(property: string, use: RecordRuleUse = {}): PropertyDecorator {
  return defineRecordRule({
    name: 'notBefore',
    of: 'times',
    accepts: (value, [other = '']) => compareMoments(value, other) >= 0,
    message: `must not be before ${property}`,
  })([property], use);
}

/** A day or time that is the other column's, or earlier. Both are of one type. */
export function NotAfter(property: string, use: RecordRuleUse = {}): PropertyDecorator {
  return defineRecordRule({
    name: 'notAfter',
    of: 'times',
    accepts: (value, [other = '']) => compareMoments(value, other) <= 0,
    message: `must not be after ${property}`,
  })([property], use);
}

/** Negative where `one` is earlier; 0 too where a form is not known. */
function compareMoments(one: string, other: string): number {
  const first = momentOf(one);
  const second = momentOf(other);
  if (first === null || second === null || first === second) return 0;
  return first < second ? -1 : 1;
}
