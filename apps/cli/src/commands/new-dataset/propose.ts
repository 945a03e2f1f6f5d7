/** What proposals of every format share. PURE. */
import { SluiceError } from '#common/errors/sluice-error.js';
import { className, tableName, TAKEN_CLASSES } from './guess-names.js';
import { guessKey } from './guess-key.js';
import type { Proposal, ProposedColumn } from './proposal.js';

/** What is known of a sample besides its text. */
export interface Sampled {
  /** File name without folders. */
  readonly file: string;
  /** The text is the whole file. */
  readonly isWhole: boolean;
  /** Null for UTF-8. */
  readonly encoding: string | null;
  /** Names that the user gave; empty for none. */
  readonly key: readonly string[];
  readonly guesses: readonly string[];
  /** Tables of the datasets that there are, in the same schema. */
  readonly usedTables: readonly string[];
  /** Whether a column with N values in M records is proposed as required. */
  readonly isRequired: (values: number, records: number) => boolean;
}

const MAX_SHOWN_FILE_CHARACTERS = 40;

/** Fewer records say little about what may be missing. */
const MIN_RECORDS_FOR_REQUIRED = 20;

export function isRequired(values: number, records: number): boolean {
  return records >= MIN_RECORDS_FOR_REQUIRED && values === records;
}

/** Names that a proposal has given; each class and table has one of its own. */
export interface UsedNames {
  readonly classes: Set<string>;
  readonly tables: Set<string>;
}

export function usedNames({ usedTables }: Sampled): UsedNames {
  return { classes: new Set(TAKEN_CLASSES), tables: new Set(usedTables) };
}

export function sharedFacts(
  name: string,
  { encoding, file }: Sampled,
  records: number,
  used: UsedNames,
): Pick<Proposal, 'name' | 'title' | 'className' | 'table' | 'encoding' | 'records'> {
  const shownFile =
    file.length <= MAX_SHOWN_FILE_CHARACTERS ? file : `${file.slice(0, MAX_SHOWN_FILE_CHARACTERS)}…`;
  return {
    name,
    title: `${name.charAt(0).toUpperCase()}${name.slice(1).replaceAll('-', ' ')}, from ${shownFile}`,
    className: className(name, used.classes),
    table: tableName(name, used.tables),
    encoding,
    records,
  };
}

interface KeyCandidate {
  readonly name: string;
  readonly property: string;
  readonly values: readonly (string | null)[];
}

/** @throws SluiceError USAGE_INVALID for a wrong --key, or where no key can be guessed */
export function chooseKey(
  columns: readonly KeyCandidate[],
  given: readonly string[],
): { readonly columns: readonly number[]; readonly guesses: readonly string[] } {
  if (given.length === 0) {
    const guessed = guessKey(columns);
    if (guessed === null) {
      throw new SluiceError(
        'USAGE_INVALID',
        columns.length === 0
          ? 'The sample has no column that could be a key.'
          : 'No column, and no two or three together, differ in every record of the sample: name the key with --key a,b.',
      );
    }
    const names = guessed.map((at) => inCode(columns[at]?.name ?? '')).join(', ');
    return { columns: guessed, guesses: [`The key is ${names}: it differs in every record of the sample.`] };
  }
  const numbers = given.map((wanted) => {
    const at = columns.findIndex(({ name, property }) => name === wanted || property === wanted);
    if (at !== -1) return at;
    const known = columns.map(({ name }) => name).join(', ');
    throw new SluiceError('USAGE_INVALID', `--key: the sample has no column "${wanted}"; it has ${known}.`);
  });
  const [first] = columns;
  const texts = (first?.values ?? []).map((_, record) =>
    numbers.map((at) => columns[at]?.values[record] ?? null),
  );
  const missing = texts.filter((values) => values.includes(null)).length;
  const repeated = texts.length - new Set(texts.map((values) => JSON.stringify(values))).size;
  return {
    columns: numbers,
    guesses: [
      ...(missing > 0
        ? [`${missing} records of the sample have no value in the key and will be refused.`]
        : []),
      ...(repeated > 0 ? [`${repeated} records of the sample repeat the key of another one.`] : []),
    ],
  };
}

/** Doubts about columns, those with the same doubt in one sentence. */
export class Doubts {
  private readonly names = new Map<string, string[]>();

  add(name: string, doubt: string | null): void {
    if (doubt !== null) this.names.set(doubt, [...(this.names.get(doubt) ?? []), name]);
  }

  sentences(): string[] {
    return [...this.names].map(([doubt, names]) => `${names.map(inCode).join(', ')}: ${doubt}.`);
  }
}

/** A name of the source, as README and terminal show it. */
export function inCode(name: string): string {
  const shown = name.replaceAll('`', "'").replaceAll(/\s+/g, ' ');
  return `\`${shown}\``;
}

/** @param keyColumns how many are required because they are the key */
export function requiredNote(columns: readonly ProposedColumn[], keyColumns: number): string[] {
  const count = columns.filter(({ required }) => required).length - keyColumns;
  if (count <= 0) return [];
  const are = count === 1 ? '1 more column is' : `${count} more columns are`;
  return [`${are} required, because every record of the sample has a value there.`];
}
