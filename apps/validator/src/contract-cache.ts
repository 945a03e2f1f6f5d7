/** Compiled contracts of the last few jobs. */
import { Injectable } from '@nestjs/common';
import { SluiceError } from '#common/errors/sluice-error.js';
import { planMark } from '#core/message/clean-message.js';
import type { RawMessage } from '#core/message/raw-message.js';
import { type CompiledContract, compileContract } from '#core/record/compile-contract.js';
import { DatasetRegistry } from '#core/registry/registry.js';

/** Contracts stay compiled for the last few jobs; a job's messages all need the same one. */
const MAX_COMPILED = 16;

export interface PlannedContract {
  readonly contract: CompiledContract;
  /** `planMark` of its sections. */
  readonly plan: string;
}

/** Compiled contracts by what they depend on: dataset, columns, the head's context and options. */
@Injectable()
export class ContractCache {
  private readonly compiled = new Map<string, PlannedContract>();

  constructor(private readonly registry: DatasetRegistry) {}

  /**
   * @throws SluiceError CONTRACT_MISMATCH when the job was started with another version of the contract:
   * this validator would judge by other rules than the job's
   * @throws SluiceError DATASET_INVALID when the contract does not fit the columns or the context of the message
   */
  contractFor(message: RawMessage): PlannedContract {
    const { dataset: name, columns, context, options, contractVersion } = message;
    const key = JSON.stringify([name, contractVersion, columns, context, options]);
    const known = this.compiled.get(key);
    if (known) return known;
    const dataset = this.registry.get(name);
    if (dataset.contractVersion !== contractVersion) {
      throw new SluiceError(
        'CONTRACT_MISMATCH',
        `The job was started with version ${contractVersion} of the contract, this validator has ${dataset.contractVersion}.`,
        { dataset: name, job: message.job },
      );
    }
    const contract = compileContract(dataset, { columns, context, options });
    const planned = { contract, plan: planMark(contract.sections) };
    const oldest = this.compiled.keys().next();
    if (this.compiled.size >= MAX_COMPILED && !oldest.done) this.compiled.delete(oldest.value);
    this.compiled.set(key, planned);
    return planned;
  }
}
