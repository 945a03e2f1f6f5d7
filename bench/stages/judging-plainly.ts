/**
 * What judging costs the plain way: csv-parse, and class-validator on the contract's own class. It is the oracle of the
 * property test (`compile-contract.property.spec.ts`), written for clearness; so it is a yardstick and no rival.
 */
import { parse } from 'csv-parse/sync';
import { contractMetadata } from '#core/dataset/columns.js';
import { cleanString } from '#core/record/cleaning.js';
import { TaxRegistration } from '#datasets/tax-registration/contract.js';
import { type PlainRecord, judgePlainly } from '#test/support/record/plain-judge.js';
import { INPUTS } from './registrations.js';
import type { Amount } from './stage-run.js';

export interface PlainAmount extends Amount {
  readonly accepted: number;
  readonly warnings: number;
}

/** @param records lines of a CSV without head, well-formed all */
export function checkPlainly(records: Buffer): PlainAmount {
  const recordOf = plainRecordsOf(INPUTS.columns);
  let rows = 0;
  let accepted = 0;
  let warnings = 0;
  const parsed: string[][] = parse(records, { record_delimiter: ['\r\n', '\n'], relax_quotes: true });
  for (const fields of parsed) {
    const { verdict, findings } = judgePlainly(TaxRegistration, recordOf(fields), INPUTS);
    rows += 1;
    if (verdict === 'accepted') accepted += 1;
    warnings += findings.filter(({ severity }) => severity === 'warning').length;
  }
  return { rows, bytes: records.length, accepted, warnings };
}

function plainRecordsOf(columns: readonly string[]): (fields: readonly string[]) => PlainRecord {
  const places = new Map(columns.map((name, place) => [name, place]));
  const slots = contractMetadata(TaxRegistration).children.map(({ options }) =>
    'slots' in options ? options.slots : [],
  );
  return (fields) => {
    const read = (name: string): string | undefined => fields[places.get(name) ?? -1];
    return {
      read,
      nameOf: (name) => name,
      isBlank: fields.every((field) => cleanString(field) === null),
      texts: columns.map((name) => ({ name, value: read(name) })),
      places: (child) =>
        (slots[child] ?? []).map((names, index) => ({
          slot: index + 1,
          nameOf: (source) => names[source] ?? source,
          read: (source) => read(names[source] ?? source),
          texts: [],
        })),
    };
  };
}
