import { NIL } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset, OptionValues, WriteMode } from '#core/dataset/dataset.js';
import {
  type CompiledContract,
  compileContract,
  planOfDeletes,
  provenanceOf,
} from '#core/record/compile-contract.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { DuplicateFinder } from './duplicate-finder.js';
import { KeyIndex } from './key-index.js';
import type { PlacedFinding, VerdictSums } from './verdict-sums.js';

/** What a job would know of its records before it sees the first one. */
export interface JudgedAs {
  readonly options: OptionValues;
  /** The one that the job would have: a merge by key makes repeats superseded records. */
  readonly mode: WriteMode;
  /** What the source is called. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
}

/** Judges batch by batch as the services would, in one process. */
export class BatchJudge {
  private readonly isUpsert: boolean;
  private readonly contract: CompiledContract;
  private readonly duplicates: DuplicateFinder;
  private placed: PlacedFinding[] = [];

  /**
   * @param onFindings receives the findings batch by batch, those of a batch in the order of their lines
   * @throws SluiceError DATASET_INVALID when the contract does not fit the columns
   */
  constructor(
    dataset: Dataset,
    { options, mode, name, columns, context }: JudgedAs,
    private readonly sums: VerdictSums,
    private readonly onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
  ) {
    this.isUpsert = mode === 'upsert';
    this.contract = compileContract(dataset, {
      columns,
      context: {
        ...context,
        ...provenanceOf(dataset, { source: name, job: NIL, startedAt: new Date(0).toISOString() }, mode),
      },
      options,
      onFindings: ({ line }, findings) => {
        for (const finding of findings) this.placed.push({ ...finding, line });
      },
    });
    const [table] = this.contract.tables;
    if (table === undefined) throw new SluiceError('INTERNAL', `Dataset ${dataset.name} has no table.`);
    this.duplicates = new DuplicateFinder(dataset, table, new KeyIndex(), planOfDeletes(dataset));
  }

  /** There were too many keys to compare all of them. */
  get gaveUp(): boolean {
    return this.duplicates.gaveUp;
  }

  /** @throws SluiceError DATASET_CODE_FAILED */
  async judge(batch: RawBatch): Promise<void> {
    const { sums } = this;
    const verdict = this.contract.judge(batch);
    sums.addBatch(batch, verdict);
    for (const section of verdict.sections) {
      for (const { line, finding } of this.duplicates.find(batch, section)) {
        // A merge by key makes repeats superseded records, and refuses none of them.
        if (this.isUpsert) sums.supersede();
        else {
          this.placed.push({ ...finding, line });
          sums.addFindings([finding]);
          sums.refuseAccepted();
        }
      }
    }
    this.placed.sort((a, b) => a.line - b.line);
    await this.onFindings(this.placed);
    this.placed = [];
  }
}
