import type { OptionValues } from '../../dataset/dataset.js';
import type { Finding } from '../../finding/finding.js';
import type { RawBatch } from '../raw-batch.js';
import type { BatchVerdict } from '../verdict.js';
import type { TablePlan } from './contract-plan.js';

/** What one job's files say and its starter has chosen. */
export interface CompileInputs {
  /** Column names in file order (`Prologue.columns`); not used for ndjson. */
  readonly columns: readonly string[];
  /** `Prologue.context`. */
  readonly context: Readonly<Record<string, string>>;
  readonly options: OptionValues;
  /** Gets every record that has findings, warnings of accepted records included, in order. */
  readonly onFindings?: (
    place: { readonly record: number; readonly line: number },
    findings: readonly Finding[],
  ) => void;
}

/** A contract, ready for the batches of one job. It keeps buffers: use one object per process, not per batch. */
export interface CompiledContract {
  /** The target tables, parents before children. */
  readonly tables: readonly TablePlan[];
  /** The tables of the verdict's sections, in order: the same, and behind them what deletes are written to. */
  readonly sections: readonly TablePlan[];
  /** @throws SluiceError MESSAGE_INVALID when the batch does not hold as many records as it says */
  judge(batch: RawBatch): BatchVerdict;
}
