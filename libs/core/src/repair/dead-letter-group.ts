import { createHash } from 'node:crypto';
import type { Finding } from '../finding/finding.js';
import { type FieldValues, type RecordFormat } from './field-value.js';
import { valueShape } from './value-shape.js';

/**
 * Dead letters that were refused for the same reason, by values that look the same. PURE.
 *
 * - DG1: a dead letter belongs to one group, that of its first error: counts of groups add up to the dead letters.
 * - DG2: the id follows from dataset, code, field and shape, so a group keeps it when the read model is built again.
 * - DG3: places in arrays are left out of the field: `items[2].price` and `items[7].price` are `items[].price`.
 */
export interface DeadLetterGroup {
  /** A UUID. */
  readonly id: string;
  readonly dataset: string;
  /** `''` for a dead letter without findings, which Sluice never writes. */
  readonly code: string;
  /** The source's name of the field, or null when the whole record is meant. */
  readonly field: string | null;
  /** Of the field's value ({@link valueShape}); empty where there is none; {@link OTHER_SHAPES} for the rest. */
  readonly shape: string;
}

/** At most N shapes of one reason have a group of their own … */
export const MAX_SHAPES = 100;
/** … and this one has the rest. */
export const OTHER_SHAPES = '…';

/** What a group is made from. */
export interface GroupedDeadLetter {
  readonly dataset: string;
  readonly findings: readonly Finding[];
  readonly columns: readonly string[];
  readonly bytes: Buffer;
}

const MAX_KEPT_GROUPS = 10_000;

/** Makes groups, each once: hashing an id costs more than all the rest. */
export class DeadLetterGroups {
  /** By reason, then by shape. */
  private known = new Map<string, Map<string, DeadLetterGroup>>();
  private size = 0;

  constructor(
    private readonly values: FieldValues,
    private readonly formatOf: (dataset: string) => RecordFormat,
  ) {}

  groupOf({ dataset, findings, columns, bytes }: GroupedDeadLetter): DeadLetterGroup {
    const { code = '', field = null } =
      findings.find(({ severity }) => severity === 'error') ?? findings[0] ?? {};
    const value = field === null ? '' : this.values.valueOf(bytes, field, columns, this.formatOf(dataset));
    return this.group(dataset, code, field, valueShape(value));
  }

  /** The group of the shapes that have none of their own. */
  othersOf({ dataset, code, field }: DeadLetterGroup): DeadLetterGroup {
    return this.group(dataset, code, field, OTHER_SHAPES);
  }

  private group(dataset: string, code: string, field: string | null, shape: string): DeadLetterGroup {
    // Neither names of datasets nor codes hold blanks.
    const reason = field === null ? `${dataset} ${code}` : `${dataset} ${code} ${field}`;
    const ofReason = this.known.get(reason);
    const known = ofReason?.get(shape);
    if (known !== undefined) return known;
    if (this.size === MAX_KEPT_GROUPS) {
      this.known = new Map();
      this.size = 0;
    }
    const group = groupNamed(dataset, code, field?.replace(/\[\d{1,9}\]/g, '[]') ?? null, shape);
    this.known.set(reason, (this.known.get(reason) ?? new Map<string, DeadLetterGroup>()).set(shape, group));
    this.size += 1;
    return group;
  }
}

function groupNamed(dataset: string, code: string, field: string | null, shape: string): DeadLetterGroup {
  return { id: idOf(JSON.stringify([dataset, code, field, shape])), dataset, code, field, shape };
}

/** DG2: the first 128 bits of the SHA-256, as a UUID. */
function idOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
