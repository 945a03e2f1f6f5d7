/**
 * A dataset in a few lines: everything but its title and its contract has a default. PURE.
 *
 *     export default defineDataset({ title: 'Orders of the web shop', format: 'ndjson', contract: WebshopOrder });
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import { contractFields } from './contract-fields.js';
import type { ContractClass, Dataset } from './dataset.js';
import { csvHead, ndjsonHead } from './heads.js';

/** As {@link Dataset}; what is left out has the default that {@link defineDataset} names. */
export type DatasetDefinition = Pick<Dataset, 'title'> &
  Partial<Omit<Dataset, 'contract'>> & { readonly contract: ContractClass };

const MEMBERS: Readonly<Record<keyof Dataset, true>> = {
  name: true,
  title: true,
  contractVersion: true,
  format: true,
  csv: true,
  encoding: true,
  strict: true,
  contract: true,
  writeModes: true,
  keepOfDuplicates: true,
  maxRefusedShare: true,
  breaker: true,
  maxShrinkShare: true,
  options: true,
  unknownMembers: true,
  deletes: true,
  inbox: true,
  defaultSource: true,
  prologue: true,
};

/**
 * Fills in:
 * - `name`: the folder's name, which the registry gives
 * - `contractVersion` 1, `format` `csv`, `options` none
 * - `writeModes`: `upsert` (so that the same file twice changes nothing), `append`, `replace`
 * - `keepOfDuplicates` `last`, `maxRefusedShare` 0.05, `maxShrinkShare` 0.2
 * - `prologue`: {@link csvHead} of the dialect, or {@link ndjsonHead}
 *
 * @throws SluiceError DATASET_INVALID for a member that no dataset has: a typo would have no effect
 */
export function defineDataset(definition: DatasetDefinition): Dataset {
  const unknown = Object.keys(definition).filter((member) => !Object.hasOwn(MEMBERS, member));
  if (unknown.length > 0) {
    throw new SluiceError(
      'DATASET_INVALID',
      `Dataset "${definition.title}": defineDataset knows no ${unknown.join(', ')}; it knows ${Object.keys(MEMBERS).join(', ')}.`,
    );
  }
  const { format = 'csv', csv, encoding } = definition;
  return {
    name: '',
    contractVersion: 1,
    format,
    writeModes: ['upsert', 'append', 'replace'],
    keepOfDuplicates: 'last',
    maxRefusedShare: 0.05,
    maxShrinkShare: 0.2,
    options: {},
    prologue:
      format === 'csv'
        ? csvHead({ csv, encoding, reads: contractFields(definition) })
        : ndjsonHead({ encoding }),
    ...definition,
  };
}
