/** A proposal as the files of a dataset's folder. PURE. */
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import type { Proposal, ProposedChild, ProposedColumn } from './proposal.js';

/** Of .prettierrc: longer lines are broken, so that a folder that was just written is formatted. */
const MAX_LINE_CHARACTERS = 110;

/** File name → content. */
export function filesOf(proposal: Proposal): Readonly<Record<string, string>> {
  return {
    'contract.ts': contractOf(proposal),
    'dataset.ts': datasetOf(proposal),
    'README.md': readmeOf(proposal),
  };
}

function datasetOf({ title, className, format, csv, encoding }: Proposal): string {
  const members = [
    ...memberLines(`title: ${quoted(title)}`, 0),
    `contract: ${className},`,
    ...(format === 'csv' ? [] : [`format: ${quoted(format)},`]),
    ...(Object.keys(csv).length === 0 ? [] : dialectLines(csv)),
    ...(encoding === null ? [] : [`encoding: ${quoted(encoding)},`]),
  ];
  return [
    `import { defineDataset } from '#core/dataset/define-dataset.js';`,
    `import { ${className} } from './contract.js';`,
    '',
    'export default defineDataset({',
    ...members.map((line) => `  ${line}`),
    '});',
    '',
  ].join('\n');
}

function dialectLines(csv: CsvDialect): string[] {
  const members = Object.entries(csv).map(([name, value]) => `${name}: ${literal(value)}`);
  const line = `csv: { ${members.join(', ')} },`;
  if (columnsOf(line) + 2 <= MAX_LINE_CHARACTERS) return [line];
  return ['csv: {', ...members.flatMap((member) => broken(member, 2)), '},'];
}

/** `columns: ['a', 'b']` over several lines, as many names on each as fit. */
function broken(member: string, indent: number): string[] {
  const pad = ' '.repeat(indent);
  if (columnsOf(member) + indent + 3 <= MAX_LINE_CHARACTERS) return [`${pad}${member},`];
  const [, name = '', list = ''] = /^(\w+): \[(.*)\]$/.exec(member) ?? [];
  return [
    `${pad}// prettier-ignore`,
    `${pad}${name}: [`,
    ...filled(list.split(', '), indent + 2),
    `${pad}],`,
  ];
}

function filled(items: readonly string[], indent: number): string[] {
  const lines: string[] = [];
  let line = ' '.repeat(indent);
  for (const item of items) {
    if (line.trim() !== '' && columnsOf(line) + columnsOf(item) + 2 > MAX_LINE_CHARACTERS) {
      lines.push(line.trimEnd());
      line = ' '.repeat(indent);
    }
    line += `${item}, `;
  }
  return [...lines, line.trimEnd()];
}

function contractOf(proposal: Proposal): string {
  const { className, table, key, nullTokens, columns, children } = proposal;
  const options = [
    `name: ${quoted(table)}`,
    `key: ${literal(key)}`,
    ...(nullTokens === null ? [] : [`cleaning: { nullTokens: ${literal(nullTokens)} }`]),
  ];
  const decorators = ['Column', 'Table', ...(children.length > 0 ? CHILD_DECORATORS : [])];
  const codes = [proposal, ...allChildren(children)].flatMap((one) =>
    one.columns.map(({ kind }) => kind ?? ''),
  );
  const kinds = codes.flatMap((code) => code.match(/\b[a-z]\w*(?=\()/gi) ?? []);
  return [
    ...importLines('columns', decorators),
    ...importLines('kinds', kinds),
    '',
    ...call('@Table(', options, 0),
    `export class ${className} {`,
    ...columns.flatMap(columnLines),
    ...children.flatMap(childLines),
    '}',
    ...children.flatMap(childClass),
    '',
  ].join('\n');
}

const CHILD_DECORATORS = ['ChildTable', 'Children', 'FromParent', 'SlotNumber'];

function allChildren(children: readonly ProposedChild[]): ProposedChild[] {
  return children.flatMap((child) => [child, ...allChildren(child.children)]);
}

function importLines(module: string, names: readonly string[]): string[] {
  const used = [...new Set(names)].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  if (used.length === 0) return [];
  const line = `import { ${used.join(', ')} } from '#core/dataset/${module}.js';`;
  if (columnsOf(line) <= MAX_LINE_CHARACTERS) return [line];
  return [`import {`, ...used.map((name) => `  ${name},`), `} from '#core/dataset/${module}.js';`];
}

/**
 * `@Column({ … }) name!: string;`, an option a line where they do not fit into one.
 * @param before stands before the options; it ends the name of the decorator and opens its parenthesis
 */
function call(before: string, options: readonly string[], indent: number, property = ''): string[] {
  const pad = ' '.repeat(indent);
  const short = options.length === 0 ? `${pad}${before})` : `${pad}${before}{ ${options.join(', ')} })`;
  const whole = property === '' ? short : `${short} ${property}`;
  if (columnsOf(whole) <= MAX_LINE_CHARACTERS) return [whole];
  const below = property === '' ? [] : [pad + property];
  if (columnsOf(short) <= MAX_LINE_CHARACTERS) return [short, ...below];
  return [
    `${pad}${before}{`,
    ...options.flatMap((option) => memberLines(option, indent + 2)),
    `${pad}})`,
    ...below,
  ];
}

/** A text that does not fit behind its name stands below it, unless that wins less than three characters (prettier). */
function memberLines(member: string, indent: number): string[] {
  const pad = ' '.repeat(indent);
  const [, name, string] = /^(\w{5,}): (['"].*)$/.exec(member) ?? [];
  const fits = pad.length + columnsOf(member) + 1 <= MAX_LINE_CHARACTERS;
  return fits || name === undefined ? [`${pad}${member},`] : [`${pad}${name}:`, `${pad}  ${string ?? ''},`];
}

/** One line a column: sixty columns are sixty lines. */
function columnLines({ source, property, kind, required, nullTokens }: ProposedColumn): string[] {
  const options = [
    ...(source === property ? [] : [`source: ${quoted(source)}`]),
    ...(kind === null ? [] : [`kind: ${kind}`]),
    ...(required ? ['required: true'] : []),
    ...(nullTokens === null ? [] : [`nullTokens: ${literal(nullTokens)}`]),
  ];
  return call('@Column(', options, 2, `${property}!: ${required ? 'string' : 'string | null'};`);
}

function childLines({ property, className, path }: ProposedChild): string[] {
  return call(
    `@Children(() => ${className}, `,
    [`path: ${quoted(path)}`],
    2,
    `${property}!: ${className}[];`,
  );
}

/** On one line where they fit. */
function beside(decorator: string, property: string): string[] {
  const line = `  ${decorator} ${property}`;
  return columnsOf(line) <= MAX_LINE_CHARACTERS ? [line] : [`  ${decorator}`, `  ${property}`];
}

function childClass(child: ProposedChild): string[] {
  const { className, table, parentKey, slot, columns, children } = child;
  return [
    '',
    `@ChildTable({ name: ${quoted(table)} })`,
    `export class ${className} {`,
    ...parentKey.flatMap((property) => beside(`@FromParent(${quoted(property)})`, `${property}!: string;`)),
    ...beside('@SlotNumber()', `${slot}!: number;`),
    ...columns.flatMap(columnLines),
    ...children.flatMap(childLines),
    '}',
    ...children.flatMap(childClass),
  ];
}

function readmeOf({ name, title, guesses, records }: Proposal): string {
  const origin = `${title}. Proposed from a sample of ${records} records`;
  const text =
    guesses.length === 0
      ? [`${origin}.`]
      : [`${origin}; to be checked:`, '', ...guesses.map((guess) => `- ${guess}`)];
  return [`# ${name}`, '', ...text, ''].join('\n');
}

/** As TypeScript, on one line. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  return typeof value === 'string' ? quoted(value) : String(value);
}

/** A string of TypeScript, in single quotes unless it holds more of them than double ones, as prettier writes them. */
function quoted(text: string): string {
  const json = JSON.stringify(text);
  const inner = json.slice(1, -1).replaceAll('\\"', '"');
  const singles = inner.split("'").length;
  const doubles = inner.split('"').length;
  return singles > doubles ? json : `'${inner.replaceAll("'", "\\'")}'`;
}

/** Columns of a terminal, which is what prettier counts: characters of Chinese, Japanese and Korean take two. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += WIDE.test(character) ? 2 : 1;
  return columns;
}

const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6\u{20000}-\u{3FFFD}]/u;
