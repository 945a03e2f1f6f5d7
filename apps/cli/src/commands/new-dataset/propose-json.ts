/** A proposal from a sample of NDJSON. PURE. */
import { SluiceError } from '#common/errors/sluice-error.js';
import { cleanString } from '#core/record/cleaning.js';
import { guessJsonKind, JsonNumber, type KindGuess } from './guess-kind.js';
import { capitalized, differentFrom, propertyNames, singular, snakeCase } from './guess-names.js';
import type { Proposal, ProposedChild, ProposedColumn } from './proposal.js';
import {
  chooseKey,
  Doubts,
  inCode,
  requiredNote,
  type Sampled,
  sharedFacts,
  type UsedNames,
  usedNames,
} from './propose.js';

type JsonObject = Readonly<Record<string, unknown>>;

/** An object with more different members than this is a map, and its members are data, not names. */
const MAX_MEMBERS = 60;

interface Member {
  /** Dotted path from the object whose member it is. */
  readonly path: string;
  /** One for each object, undefined where it is absent; null stays null. */
  readonly values: readonly unknown[];
  /** `array`: of objects, and nothing else but nulls. */
  readonly is: 'value' | 'array';
}

interface NamedMember extends Member {
  readonly property: string;
}

/** What a proposal is collected in on the way. */
interface Collected {
  readonly sampled: Sampled;
  readonly used: UsedNames;
  readonly doubts: Doubts;
  readonly guesses: string[];
}

/** @throws SluiceError USAGE_INVALID for a sample that is no NDJSON, or has no key */
export function proposeJson(name: string, text: string, sampled: Sampled): Proposal {
  const objects = parseLines(text);
  const collected: Collected = { sampled, used: usedNames(sampled), doubts: new Doubts(), guesses: [] };
  const shared = sharedFacts(name, sampled, objects.length, collected.used);
  const members = membersOf(objects, '', collected);
  const properties = propertyNames(members.map(({ path }) => path));
  const named = members.map((member, at) => ({ ...member, property: properties[at] ?? '' }));
  const values = named.filter(({ is }) => is === 'value');
  const key = chooseKey(
    values.map(({ path, property, values: own }) => ({
      name: path,
      property,
      values: own.map(plainKeyText),
    })),
    sampled.key,
  );
  const columns = values.map((member, at) => columnOf(member, key.columns.includes(at), collected));
  const keyProperties = key.columns.map((at) => columns[at]?.property ?? '');
  const children = named
    .filter(({ is }) => is === 'array')
    .map((member) => childOf(member, shared, keyProperties, collected));
  return {
    ...shared,
    key: keyProperties,
    format: 'ndjson',
    csv: {},
    nullTokens: null,
    columns,
    children,
    guesses: [
      ...sampled.guesses,
      ...collected.guesses,
      ...collected.doubts.sentences(),
      ...requiredNote(columns, key.columns.length),
      ...key.guesses,
    ],
  };
}

function parseLines(text: string): JsonObject[] {
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return [];
    const value = parseLine(line);
    if (isObject(value)) return [value];
    throw new SluiceError(
      'USAGE_INVALID',
      `Line ${at + 1} of the sample is no JSON object: NDJSON has one on each line, and nothing else.`,
    );
  });
}

/** A string, or a number with all that may stand in one. */
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;
/** Before a number's text: no JSON text holds this character, and few strings do. */
const NUMBER_MARK = '\u0000number ';

/** @returns undefined for what is no JSON; numbers as JsonNumber */
function parseLine(line: string): unknown {
  try {
    JSON.parse(line);
  } catch {
    return undefined;
  }
  const marked = line.replace(STRING_OR_NUMBER, (found) =>
    found.startsWith('"') ? found : JSON.stringify(NUMBER_MARK + found),
  );
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'string' && value.startsWith(NUMBER_MARK)
      ? new JsonNumber(value.slice(NUMBER_MARK.length))
      : value,
  );
}

/** Members of the objects, those of objects inside them with their dotted path. */
function membersOf(objects: readonly JsonObject[], prefix: string, collected: Collected): Member[] {
  const names = new Set(objects.flatMap((object) => Object.keys(object)));
  return [...names].flatMap((name): Member[] => {
    if (name === '' || name.includes('.')) {
      collected.guesses.push(`The member ${inCode(prefix + name)} is not read: a path cannot name it.`);
      return [];
    }
    const path = prefix + name;
    const values = objects.map((object) => (Object.hasOwn(object, name) ? object[name] : undefined));
    const present = values.filter((value) => value !== undefined && value !== null);
    if (present.length > 0 && present.every(isObject)) {
      const inner = values.map((value) => (isObject(value) ? value : {}));
      const count = new Set(inner.flatMap((object) => Object.keys(object))).size;
      if (count > 0 && count <= MAX_MEMBERS) return membersOf(inner, `${path}.`, collected);
    }
    const elements = present.flatMap((value) => (Array.isArray(value) ? (value as unknown[]) : []));
    const isArray = present.length > 0 && present.every((value) => Array.isArray(value));
    const is = isArray && elements.length > 0 && elements.every(isObject) ? 'array' : 'value';
    return [{ path, values, is }];
  });
}

function columnOf(
  { path, values, property }: NamedMember,
  isKey: boolean,
  { sampled, doubts }: Collected,
): ProposedColumn {
  const given = values.filter((value) => value !== undefined && value !== null);
  // Beside arrays and objects a null token is a string like any other.
  const isPlain = !given.some((value) => Array.isArray(value) || isObject(value));
  const present = isPlain ? given.filter((value) => keyText(value) !== null) : given;
  const { code, doubt } = kindOf(present);
  doubts.add(path, doubt);
  const required = isKey || sampled.isRequired(present.length, values.length);
  return { source: path, property, kind: code, required, nullTokens: null };
}

function kindOf(present: readonly unknown[]): KindGuess {
  if (present.length === 0 || !present.every((value) => Array.isArray(value))) return guessJsonKind(present);
  const elements = (present as unknown[][]).flat();
  const isPlain = elements.every((element) => !Array.isArray(element) && !isObject(element));
  if (!isPlain) return { code: 'jsonb()', doubt: null };
  const { code, doubt } = guessJsonKind(elements.filter((element) => element !== null));
  return { code: `arrayOf(${code ?? 'text()'})`, doubt };
}

function childOf(
  { path, values, property }: NamedMember,
  parent: { readonly className: string; readonly table: string },
  parentKey: readonly string[],
  collected: Collected,
): ProposedChild {
  const elements = values.flatMap((value) => (Array.isArray(value) ? (value as JsonObject[]) : []));
  const members = membersOf(elements, '', collected);
  const properties = propertyNames(
    members.map((member) => member.path),
    parentKey,
  );
  const named = members.map((member, at) => ({
    ...member,
    property: properties[at] ?? '',
  }));
  const columns = named
    .filter(({ is }) => is === 'value')
    .map((member) => columnOf(member, false, collected));
  const one = singular(property);
  const shared = {
    className: differentFrom(collected.used.classes, parent.className + capitalized(one)),
    table: differentFrom(collected.used.tables, `${parent.table}_${snakeCase(one)}`),
  };
  const taken = new Set([...parentKey, ...properties]);
  const slot = differentFrom(taken, taken.has('position') ? `${one}Position` : 'position', snakeCase);
  const key = [...parentKey, slot];
  const children = named
    .filter(({ is }) => is === 'array')
    .map((member) => childOf(member, shared, key, collected));
  return { ...shared, property, path, parentKey, slot, columns, children };
}

/** Objects and arrays are no keys. */
function plainKeyText(value: unknown): string | null {
  return Array.isArray(value) || isObject(value) ? null : keyText(value);
}

/** As a cleaned value, to compare and to recognize null. */
function keyText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (value instanceof JsonNumber) return value.text;
  return typeof value === 'string' ? cleanString(value) : JSON.stringify(value);
}

function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}
