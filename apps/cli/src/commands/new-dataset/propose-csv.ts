/** A proposal from a sample of CSV. PURE. */
import { SluiceError } from '#common/errors/sluice-error.js';
import { DEFAULT_NULL_TOKENS } from '#core/dataset/columns.js';
import { delimitersName } from '#core/dataset/csv-dialect.js';
import { cleanString } from '#core/record/cleaning.js';
import { guessDialect } from './guess-dialect.js';
import { guessKind } from './guess-kind.js';
import { propertyNames } from './guess-names.js';
import type { Proposal, ProposedColumn } from './proposal.js';
import { chooseKey, Doubts, requiredNote, type Sampled, sharedFacts, usedNames } from './propose.js';

/** What dumps of databases write for NULL; no text means it. */
const DUMPED_NULL = '\\N';
const MANY_DELIMITERS = 'No delimiter gives records of one width.';

/**
 * @param text decoded, byte order mark left out
 * @throws SluiceError USAGE_INVALID for a sample that is no CSV, or has no key
 */
export function proposeCsv(name: string, text: string, sampled: Sampled): Proposal {
  const guess = guessDialect(text, sampled.isWhole);
  if (guess === null || guess.records.length === 0) {
    const what = guess === null ? MANY_DELIMITERS : 'It has no records.';
    throw new SluiceError('USAGE_INVALID', `The sample cannot be read as CSV. ${what}`);
  }
  const { dialect, names, records } = guess;
  const hasDumpedNulls = dialect.escape !== 'backslash' && records.some((row) => row.includes(DUMPED_NULL));
  const nullTokens = hasDumpedNulls ? ['', DUMPED_NULL] : DEFAULT_NULL_TOKENS;
  const properties = propertyNames(names);
  const doubts = new Doubts();
  const read = names.map((source, at) => {
    const fields = records.map((row) => row[at] ?? '');
    const own = holdsCodeOfNamibia(fields) && !hasDumpedNulls ? [''] : null;
    const values = fields.map((field) =>
      field === DUMPED_NULL ? null : cleanString(field, { nullTokens: own ?? nullTokens }),
    );
    if (own !== null) doubts.add(source, 'NA is a value there, and not null');
    else {
      const token = nullTokens.find((one) => one !== '' && one !== DUMPED_NULL && fields.includes(one));
      if (token !== undefined) doubts.add(source, `${token} is null there`);
    }
    return { name: source, property: properties[at] ?? '', values, nullTokens: own };
  });
  const key = chooseKey(read, sampled.key);
  const columns = read.map(({ name: source, property, values, nullTokens: own }, at): ProposedColumn => {
    const present = values.filter((value) => value !== null);
    const { code, doubt } = guessKind(present);
    doubts.add(source, doubt);
    const required = key.columns.includes(at) || sampled.isRequired(present.length, records.length);
    return { source, property, kind: code, required, nullTokens: own };
  });
  const { delimiter } = dialect;
  return {
    ...sharedFacts(name, sampled, records.length, usedNames(sampled)),
    key: key.columns.map((at) => properties[at] ?? ''),
    format: 'csv',
    csv: dialect,
    nullTokens: hasDumpedNulls ? nullTokens : null,
    columns,
    children: [],
    guesses: [
      ...sampled.guesses,
      ...guess.guesses,
      ...(delimiter === undefined || names.length === 1
        ? []
        : [`Fields are separated by ${delimitersName(delimiter)}.`]),
      ...doubts.sentences(),
      ...requiredNote(columns, key.columns.length),
      ...key.guesses,
    ],
  };
}

/** `NA` among codes of two capitals is Namibia, or North America, and not "not available". */
function holdsCodeOfNamibia(fields: readonly string[]): boolean {
  const present = new Set(fields.map((field) => field.trim()).filter((field) => field !== ''));
  return present.has('NA') && present.size > 2 && [...present].every((field) => /^[A-Z]{2}$/.test(field));
}
