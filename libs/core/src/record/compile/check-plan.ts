/**
 * One check of one property, from class-validator's metadata: Sluice's own rules by what their context
 * carries, class-validator's stock decorators by asking them. PURE.
 *
 * A stock decorator's finding takes `code`, `severity` and `otherwise` from its context:
 * `@IsEmail({}, { context: { code: 'BAD_EMAIL', severity: 'warning', otherwise: null } })`. It judges nulls
 * as class-validator does: add `@IsOptional()` where a null is fine. Each asking costs a string, so a check
 * that every record meets is better made with `defineRule`.
 */
import { getMetadataStorage, type ValidationArguments } from '#common/validation/class-validator.js';
import { type SluiceError } from '#common/errors/sluice-error.js';
import type { ColumnMetadata } from '../../dataset/columns.js';
import type { OptionValues } from '../../dataset/dataset.js';
import type { Kind } from '../../dataset/kind.js';
import {
  DEFAULT_CODE,
  RULE_CONTEXT,
  type RecordRuleDefinition,
  type RuleContext,
  type RuleUse,
  type SeverityChoice,
} from '../../dataset/rules.js';
import type { Severity } from '../../finding/finding.js';

/** What the metadata storage holds about one decorator. */
export type RuleMetadata = ReturnType<
  ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']
>[number];

export interface CheckPlan {
  readonly code: string;
  readonly severity: SeverityChoice;
  /** Undefined: the value is kept. */
  readonly otherwise: string | null | undefined;
  /** `any`: nulls and values (a stock decorator). */
  readonly judges: RuleContext['judges'] | 'any';
  /** For `pair`: the other property; for `record`: the others, in the rule's order. */
  readonly others: readonly string[];
  /** For `record`: what it demands. */
  readonly across?: RecordRuleDefinition;
  /** It is the column's kind, and no rule. */
  readonly isKind: boolean;
  readonly accepts: (value: string | null) => boolean;
  /** No text breaks it. */
  readonly acceptsAll: boolean;
  /** As `RuleDefinition.examples`. */
  readonly examples?: readonly string[];
  /** Absent: decode, then `accepts`. */
  readonly acceptsBytes?: (bytes: Uint8Array, start: number, end: number) => boolean;
  /** The reason in words. @param shown the value, shortened and quoted, or null */
  readonly word: (field: string, shown: string | null) => string;
}

/** What breaking the check means under a job's options. */
export function severityOf(
  { severity }: Pick<CheckPlan, 'severity'>,
  options: OptionValues,
): Severity | 'off' {
  return typeof severity === 'function' ? severity(options) : severity;
}

/** Whether this says something about the value of a property; `@ValidateNested` and `@Allow` do not. */
export function isRuleMetadata(metadata: RuleMetadata): boolean {
  return !['nestedValidation', 'promiseValidation', 'whitelistValidation'].includes(metadata.type);
}

export function isOptional(metadata: RuleMetadata): boolean {
  return metadata.type === 'conditionalValidation' && metadata.name === 'isOptional';
}

/** @param invalid makes the error for a decorator that cannot be compiled */
export function checkOf(
  metadata: RuleMetadata,
  column: Pick<ColumnMetadata, 'kind'>,
  isJson: boolean,
  invalid: (problem: string) => SluiceError,
): CheckPlan {
  const context = metadata.context as Readonly<Record<string, unknown>> | undefined;
  const own = context?.[RULE_CONTEXT] as RuleContext | undefined;
  if (own === undefined) return stockCheck(metadata, context ?? {}, invalid);
  const isKind = own.definition === column.kind;
  const definition = isKind ? kindFor(column.kind, isJson) : own.definition;
  return { ...ownCheck({ ...own, definition }), isKind };
}

/** The kind as the format asks it. */
export function kindFor(kind: Kind, isJson: boolean): Kind {
  return isJson ? (kind.inJson ?? kind) : kind;
}

function ownCheck(own: RuleContext): Omit<CheckPlan, 'isKind'> {
  const { definition, code, severity, otherwise, judges, others = [], across } = own;
  const { message } = definition;
  const acceptsBytes = definition.acceptsBytes?.bind(definition);
  return {
    code,
    severity,
    otherwise,
    judges,
    others,
    ...(across === undefined ? {} : { across }),
    accepts: (value) => value === null || definition.accepts(value),
    acceptsAll: judges === 'value' && definition.acceptsAll === true,
    ...(definition.examples === undefined ? {} : { examples: definition.examples }),
    ...(acceptsBytes === undefined ? {} : { acceptsBytes }),
    word: (field, shown) => (shown === null ? `${field} ${message}` : `${field} ${message}; it is ${shown}`),
  };
}

function stockCheck(
  metadata: RuleMetadata,
  use: RuleUse,
  invalid: (problem: string) => SluiceError,
): CheckPlan {
  if (metadata.type === 'conditionalValidation' || metadata.validateIf !== undefined) {
    throw invalid('a condition over the whole object (@ValidateIf) cannot be compiled');
  }
  const constraints = getMetadataStorage().getTargetValidatorConstraints(metadata.constraintCls);
  if (constraints.some((constraint) => constraint.async))
    throw invalid('an asynchronous rule cannot be compiled');
  const argumentsFor = (value: unknown): ValidationArguments => ({
    value,
    property: metadata.propertyName,
    constraints: metadata.constraints,
    targetName: '',
    object: { [metadata.propertyName]: value },
  });
  return {
    code: use.code ?? DEFAULT_CODE,
    severity: use.severity ?? 'error',
    otherwise: use.otherwise,
    judges: 'any',
    isKind: false,
    others: [],
    acceptsAll: false,
    accepts: (value) =>
      constraints.every(({ instance }) => {
        const answer = instance.validate(value, argumentsFor(value));
        if (typeof answer !== 'boolean') throw invalid('an asynchronous rule cannot be compiled');
        return answer;
      }),
    word: (field, shown) => {
      const given = argumentsFor(shown);
      const [constraint] = constraints;
      const template =
        typeof metadata.message === 'function'
          ? metadata.message(given)
          : metadata.message || (constraint?.instance.defaultMessage?.(given) ?? '$property is not valid');
      const worded = template
        .replaceAll('$property', field)
        .replaceAll('$value', shown ?? 'null')
        .replaceAll(/\$constraint([0-9]+)/g, (_, number: string) =>
          String(metadata.constraints[Number(number) - 1]),
        );
      return shown === null ? worded : `${worded}; it is ${shown}`;
    },
  };
}
