import type { FindingCategory } from '#api/job-words.js';
import { GENERAL_FINDING_CODES } from './finding.js';

type GeneralCode = (typeof GENERAL_FINDING_CODES)[keyof typeof GENERAL_FINDING_CODES];

const CATEGORY_OF_GENERAL: Readonly<Record<GeneralCode, FindingCategory>> = {
  MALFORMED_ROW: 'structure',
  RECORD_TOO_LARGE: 'structure',
  FIELD_TOO_LONG: 'value',
  NUL_REMOVED: 'value',
  STRAY_QUOTE: 'structure',
  UNKNOWN_MEMBER: 'structure',
  DELETE_REFUSED: 'structure',
  DUPLICATE: 'key',
  REFUSED_BY_DATABASE: 'database',
  BYTES_EXPIRED: 'database',
  TOMBSTONE: 'structure',
  NOT_ONE_RECORD: 'structure',
  WRONG_CONTENT_TYPE: 'structure',
  BAD_MESSAGE_HEADER: 'structure',
  MESSAGE_UNDECODABLE: 'structure',
};

/** The category of a general code; null for codes of contracts, which say by what gives them. */
export function categoryOfGeneral(code: string): FindingCategory | null {
  return Object.hasOwn(CATEGORY_OF_GENERAL, code) ? CATEGORY_OF_GENERAL[code as GeneralCode] : null;
}

/** Code → category of those codes that have one, for answers in JSON. */
export function categoriesOf(
  codes: Iterable<string>,
  known: ReadonlyMap<string, FindingCategory>,
): Readonly<Record<string, FindingCategory>> {
  return Object.fromEntries(
    [...codes].flatMap((code) => {
      const category = known.get(code) ?? categoryOfGeneral(code);
      return category === null ? [] : [[code, category]];
    }),
  );
}
