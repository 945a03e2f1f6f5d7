import type { ColumnOrigin, ProvenanceFact } from '../../dataset/columns.js';
import type { ContractPlan } from './contract-plan.js';

/** Facts of the job that `@Provenance` stores, as the starter of the compiler puts them into the context. */
export type ProvenanceFacts = Readonly<Record<Exclude<ProvenanceFact, 'line'>, string>>;

/** Names of the context that neither a prologue nor a message can give: they hold what `@Provenance` stores. */
export const RESERVED_PREFIX = 'sluice:';

/**
 * Bytes of an address in the context, as JSON. The context goes with every message; a path may have 4 KiB, and a URL any
 * length. All facts together have at most 644 bytes, beside those of the file's head (`MAX_CONTEXT_BYTES`).
 */
export const MAX_SOURCE_BYTES = 512;

/**
 * The reserved entries of a context. An address that is too long loses its middle: the same in every run of the job.
 * @param facts `startedAt` as ISO 8601 with its offset
 */
export function provenanceContext(facts: ProvenanceFacts): Readonly<Record<string, string>> {
  const short = { ...facts, source: shortened(facts.source) };
  return Object.fromEntries(Object.entries(short).map(([fact, value]) => [RESERVED_PREFIX + fact, value]));
}

/** The host stands at an address's beginning, and the file at its end: the end keeps two thirds. */
function shortened(address: string): string {
  if (jsonBytes(address) <= MAX_SOURCE_BYTES) return address;
  const room = MAX_SOURCE_BYTES - Buffer.byteLength(MIDDLE);
  const characters = Array.from(address);
  const start = fitting(characters, room / 3);
  const end = fitting(characters.reverse(), (room * 2) / 3).reverse();
  return start.join('') + MIDDLE + end.join('');
}

const MIDDLE = '…';

/** The first characters, as far as their JSON fits. */
function fitting(characters: readonly string[], bytes: number): string[] {
  let left = bytes;
  const end = characters.findIndex((character) => (left -= jsonBytes(character)) < 0);
  return characters.slice(0, end === -1 ? characters.length : end);
}

/** Without the quotes. */
function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** Context of a job whose dataset has deletes, and whose mode does not take them. */
export const WITHOUT_DELETES: Readonly<Record<string, string>> = { [`${RESERVED_PREFIX}deletes`]: 'refused' };

/** Whether a job takes the deletes of its dataset, by its context. */
export function takesDeletes(context: Readonly<Record<string, string>>): boolean {
  return Object.entries(WITHOUT_DELETES).every(([name, value]) => context[name] !== value);
}

/** Whether a contract stores facts of the job, so that its context has to hold them. */
export function storesProvenance(plan: Pick<ContractPlan, 'columns' | 'children'>): boolean {
  return [plan, ...plan.children].some(({ columns }) =>
    columns.some(({ origin }) => origin.from === 'provenance' && origin.fact !== 'line'),
  );
}

/** What every row of a job stores in a column; undefined where rows differ. PURE. */
export function constantOf(
  origin: ColumnOrigin,
  context: Readonly<Record<string, string>>,
): string | null | undefined {
  switch (origin.from) {
    case 'context':
      return valueOf(context, origin.name);
    case 'constant':
      return origin.value;
    case 'provenance':
      return origin.fact === 'line' ? undefined : valueOf(context, RESERVED_PREFIX + origin.fact);
    case 'source':
    case 'fields':
    case 'parent':
    case 'slot':
      return undefined;
  }
}

function valueOf(context: Readonly<Record<string, string>>, name: string): string | null {
  return Object.hasOwn(context, name) ? (context[name] ?? null) : null;
}
