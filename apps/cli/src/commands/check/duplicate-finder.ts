import type { Dataset } from '#core/dataset/dataset.js';
import { type Finding, GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import type { TablePlan } from '#core/record/compile-contract.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { RecordWalker } from '#core/record/record-walker.js';
import type { TableSection } from '#core/record/verdict.js';
import { KeyIndex } from './key-index.js';
import { RowKeys } from './row-keys.js';

/** The line of a record that loses to another one with its key, and why. */
export interface Duplicate {
  readonly line: number;
  readonly finding: Finding;
}

/**
 * Finds accepted records with a key that another one has, as the database would: by the key columns of
 * the COPY text, in which equal values are equal bytes.
 */
export class DuplicateFinder {
  private readonly index: KeyIndex;
  /** By table of a section. */
  private readonly keys: ReadonlyMap<string, RowKeys>;
  private readonly keyName: string;

  constructor(
    private readonly dataset: Pick<Dataset, 'format' | 'csv' | 'keepOfDuplicates'>,
    table: TablePlan,
    index = new KeyIndex(),
    deletes: TablePlan | null = null,
  ) {
    this.index = index;
    const plans = deletes === null ? [table] : [table, deletes];
    this.keys = new Map(plans.map((plan) => [plan.table, new RowKeys(plan)]));
    this.keyName = table.key.join(', ');
  }

  /** Records after N different keys were not compared with each other. */
  get gaveUp(): boolean {
    return this.index.full;
  }

  /** @param section the rows of the table whose key it is, or the deletes of it; others have no duplicates */
  *find(batch: RawBatch, section: TableSection): Generator<Duplicate> {
    const { keepOfDuplicates } = this.dataset;
    const keys = this.keys.get(section.table);
    if (keys === undefined) return;
    const walker = new RecordWalker(batch, this.dataset);
    for (const { record, key } of keys.of(section.text)) {
      while (batch.firstRecord + walker.index < record && walker.next());
      const before = this.index.meet(key, walker.line, keepOfDuplicates);
      if (before === undefined) continue;
      const [loser, winner] = keepOfDuplicates === 'first' ? [walker.line, before] : [before, walker.line];
      yield { line: loser, finding: duplicate(this.keyName, winner) };
    }
  }
}

function duplicate(keyName: string, winner: number): Finding {
  return {
    code: GENERAL_FINDING_CODES.DUPLICATE,
    field: null,
    message: `its ${keyName} is that of line ${winner}, which is kept`,
    severity: 'error',
  };
}
