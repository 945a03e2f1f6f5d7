/**
 * From a contract to one function: raw batch in, COPY text and refused records out. PURE: of the batch, the
 * contract, the file's columns and context, and the job's options.
 *
 * Invariants
 * - CC1: accepted + refused + skipped = records (G2); a batch that does not hold the records it says it does
 *   is MESSAGE_INVALID, never judged in part.
 * - CC2: a refused record has no row in any table; its neighbours are judged as if it were not there.
 * - CC3: every record that is refused is refused with all its reasons, its own bytes and its place.
 * - CC4: what is written can be COPYed: well-formed UTF-8, no NUL, escaped (`copy-text.ts`, CT1 and CT2).
 *
 * Why not strings and class-validator for each record: measured at 140,000 rows a second for
 * class-validator alone, and csv-parse at 38 MB/s before it; on bytes the whole judgement takes about 2 µs
 * a registration. `compile-contract.property.spec.ts` proves both ways equal: csv-parse and class-validator
 * on the contract's class are the oracle.
 */
import type { Dataset, OptionValues, WriteMode } from '../dataset/dataset.js';
import { planContract, sectionsOf, type TablePlan } from './compile/contract-plan.js';
import type { CompileInputs, CompiledContract } from './compile/compiled-contract.js';
import { severityOf } from './compile/check-plan.js';
import {
  provenanceContext,
  type ProvenanceFacts,
  storesProvenance,
  WITHOUT_DELETES,
} from './compile/constants.js';
import { datasetCodeFailed } from './dataset-code.js';
import { ContractJudge, type JudgedDataset } from './compile/contract-judge.js';
import { GENERAL_FINDING_CODES, type Severity } from '../finding/finding.js';

export type { CompileInputs, CompiledContract } from './compile/compiled-contract.js';
export type { TablePlan } from './compile/contract-plan.js';

/**
 * @throws SluiceError DATASET_INVALID when the contract does not hold together, or does not fit the file's
 *   columns or context; DATASET_CODE_FAILED when code of the dataset throws
 */
export function compileContract(dataset: JudgedDataset, inputs: CompileInputs): CompiledContract {
  try {
    return new ContractJudge(dataset, planContract(dataset), inputs);
  } catch (error) {
    // Kinds judge what the head says, and severities may be functions: both are the dataset's own code.
    throw datasetCodeFailed(error, { dataset: dataset.name, what: `class ${dataset.contract.name}` });
  }
}

/**
 * The tables that a dataset's records fill, without a file at hand, parents before children.
 * @throws SluiceError DATASET_INVALID
 */
export function planTables(dataset: Pick<Dataset, 'name' | 'contract'>): readonly TablePlan[] {
  return planContract(dataset).tables;
}

/**
 * What the records of a dataset that are deletes are written to; null for a dataset without deletes.
 * @throws SluiceError DATASET_INVALID
 */
export function planOfDeletes(dataset: PlannedDataset): TablePlan | null {
  return planContract(dataset).deletes?.table ?? null;
}

/**
 * The tables of a clean batch's sections, in order: those of {@link planTables}, and behind them what deletes are written to.
 * @throws SluiceError DATASET_INVALID
 */
export function planSections(dataset: PlannedDataset): readonly TablePlan[] {
  return sectionsOf(planContract(dataset));
}

type PlannedDataset = Pick<Dataset, 'name' | 'contract' | 'format' | 'deletes'>;

/**
 * What the context of a job's messages holds besides what its head says: the facts that `@Provenance` stores, and that
 * the job takes no deletes where its dataset has some. Empty for other jobs, so that they share one compiled contract.
 */
export function provenanceOf(
  dataset: Pick<Dataset, 'name' | 'contract' | 'deletes'>,
  facts: ProvenanceFacts,
  mode: WriteMode = 'upsert',
): Readonly<Record<string, string>> {
  return {
    ...(storesProvenance(planContract(dataset)) ? provenanceContext(facts) : {}),
    ...(dataset.deletes === undefined || mode === 'upsert' ? {} : WITHOUT_DELETES),
  };
}

const ALWAYS_WARNINGS = [GENERAL_FINDING_CODES.NUL_REMOVED, GENERAL_FINDING_CODES.STRAY_QUOTE];

/**
 * Finding codes that never refuse a record under the job's options: warnings, wherever the contract gives them.
 * @throws SluiceError DATASET_INVALID
 */
export function warningCodes(
  dataset: Pick<Dataset, 'name' | 'contract' | 'unknownMembers' | 'deletes'>,
  options: OptionValues,
): ReadonlySet<string> {
  const { columns, children, deletes } = planContract(dataset);
  const all = [...columns, ...children.flatMap((child) => child.columns), ...(deletes?.columns ?? [])];
  const checks = all.flatMap((column) => column.checks);
  const codesOf = (severity: Severity): string[] =>
    checks.filter((check) => severityOf(check, options) === severity).map(({ code }) => code);
  const refusing = new Set(codesOf('error'));
  const unknownMembers = dataset.unknownMembers === 'error' ? [] : [GENERAL_FINDING_CODES.UNKNOWN_MEMBER];
  return new Set(
    [...ALWAYS_WARNINGS, ...unknownMembers, ...codesOf('warning')].filter((code) => !refusing.has(code)),
  );
}
