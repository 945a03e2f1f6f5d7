/**
 * docs/contract.md: the whole contract language, one example each. The examples are folders of
 * `test/fixtures/contract-examples`; what each input becomes is what the product answers.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeWhole } from '#core/conformance/whole-file.js';
import { type CopiedRow, judgeWhole } from '#core/conformance/judge-file.js';
import type { Dataset } from '#core/dataset/dataset.js';
import { DELETED_SECTION } from '#core/dataset/deletes.js';
import {
  arrayOf,
  date,
  enumOf,
  flag,
  float64,
  int16,
  int32,
  int64,
  isoDate,
  jsonb,
  type Kind,
  mapped,
  numeric,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} from '#core/dataset/kinds.js';
import { describeDataset } from '#core/derive/describe.js';
import { markdownTable } from '#common/text/markdown-table.js';

const EXAMPLES = 'test/fixtures/contract-examples';
/** Here, compiled or not. */
const MODULES = fileURLToPath(new URL('../../fixtures/contract-examples', import.meta.url));
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** Every kind as a contract writes it; the types are asked of the kinds themselves. */
const KINDS: Readonly<Record<string, Kind>> = {
  'text()': text(),
  'varchar(40)': varchar(40),
  'int16()': int16(),
  'int32()': int32(),
  'int64()': int64(),
  "int64({ nonNegative: true, thousandsMark: '.' })": int64({ nonNegative: true, thousandsMark: '.' }),
  'numeric()': numeric(),
  'numeric({ precision: 12, scale: 2 })': numeric({ precision: 12, scale: 2 }),
  "numeric({ decimalMark: ',', thousandsMark: '.' })": numeric({ decimalMark: ',', thousandsMark: '.' }),
  'float64()': float64(),
  "flag({ true: ['Y'], false: ['N'] })": flag({ true: ['Y'], false: ['N'] }),
  'isoDate()': isoDate(),
  "date('DD/MM/YYYY')": date('DD/MM/YYYY'),
  'time()': time(),
  'timestamp()': timestamp(),
  "timestamp('DD.MM.YYYY HH:mm')": timestamp('DD.MM.YYYY HH:mm'),
  'timestamptz()': timestamptz(),
  "timestamptz({ pattern: 'YYYY/MM/DD HH:mm', zone: 'Asia/Taipei' })": timestamptz({
    pattern: 'YYYY/MM/DD HH:mm',
    zone: 'Asia/Taipei',
  }),
  'uuid()': uuid(),
  "enumOf(['low', 'high'])": enumOf(['low', 'high']),
  "mapped({ O: 'open', C: 'closed' })": mapped({ O: 'open', C: 'closed' }),
  "arrayOf(text(), { separator: '|' })": arrayOf(text(), { separator: '|' }),
  'jsonb()': jsonb(),
};

/** Every example, in the order of the folders' numbers. */
export function exampleFolders(root: string): string[] {
  return readdirSync(join(root, EXAMPLES)).sort();
}

/** The dataset of an example, named by its folder. */
export async function exampleDataset(folder: string): Promise<Dataset> {
  const module = (await import(join(MODULES, folder, `dataset${ENDING}`))) as { default: Dataset };
  return { ...module.default, name: folder.replace(/^\d+-/, '') };
}

/** @param root the top folder */
export async function contractPage(root: string): Promise<string> {
  const kinds = markdownTable(
    ['kind', 'column type', 'a value'],
    Object.entries(KINDS).map(([code, { columnType, message }]) => [
      `\`${code}\``,
      `\`${columnType}\``,
      message,
    ]),
  );
  const examples: string[] = [];
  // One after the other: Jest links modules that are imported at once in any order.
  for (const folder of exampleFolders(root)) examples.push(await exampleText(root, folder));
  return `${HEAD}\n## Kinds\n\n${KIND_TEXT}\n\n${kinds}\n${examples.join('\n')}\n${TAIL}`;
}

async function exampleText(root: string, folder: string): Promise<string> {
  const source = readFileSync(join(root, EXAMPLES, folder, 'dataset.ts'), 'utf8');
  const [, comment = ''] = /^\/\*\*\n(.*?)\n \*\/\n/s.exec(source) ?? [];
  const [title = '', , ...prose] = comment.split('\n').map((line) => line.replace(/^ \* ?/, ''));
  const code = source.slice(source.indexOf('*/\n') + 3);
  const dataset = await exampleDataset(folder);
  const input = readFileSync(join(root, EXAMPLES, folder, `input.${dataset.format}`));
  return [
    `## ${title}\n`,
    `${prose.join('\n')}\n`,
    `\`\`\`ts\n${code.trim()}\n\`\`\`\n`,
    `\`\`\`\n${decodeWhole(dataset, input)
      .toString()
      .trimEnd()
      .replaceAll('\t', '→')
      .replace(/ +$/gm, (blanks) => '␣'.repeat(blanks.length))}\n\`\`\`\n`,
    answerText(dataset, input),
  ].join('\n');
}

/** What the product makes of the input: rows by table, then findings. */
function answerText(dataset: Dataset, input: Buffer): string {
  const judged = judgeWhole(dataset, input);
  const described = describeDataset(dataset).tables;
  const tables = Object.entries(judged.tables).flatMap(([table, rows]) => {
    if (rows.length === 0) return [];
    if (table === DELETED_SECTION) return [`Deleted, unless the row is newer:\n\n${rowsText(rows)}`];
    const facts = described.find((one) => one.table.endsWith(`.${table}`));
    return [`\`${facts?.table ?? table}\` gets:\n\n${rowsText(rows)}`];
  });
  const findings = judged.refused.flatMap(({ line, findings: given }) =>
    given.map(({ code, message }) => `- line ${line}: \`${code}\`, ${message.replaceAll('<', '\\<')}\n`),
  );
  const warnings = Object.entries(judged.findings).filter(
    ([code]) => !judged.refused.some(({ findings: given }) => given.some((finding) => finding.code === code)),
  );
  const counted = warnings.map(([code, count]) => `\`${code}\` ${count}`).join(', ');
  return [
    ...tables,
    ...(findings.length === 0 ? [] : [`Refused:\n\n${findings.join('')}`]),
    ...(counted === '' ? [] : [`Warnings of loaded records: ${counted}.\n`]),
    ...(judged.counts.skipped === 0 ? [] : [`Skipped lines: ${judged.counts.skipped}.\n`]),
  ].join('\n');
}

function rowsText(rows: readonly CopiedRow[]): string {
  const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== '_sluice_record');
  return markdownTable(
    columns.map((column) => `\`${column}\``),
    rows.map((row) =>
      columns.map((column) =>
        (row[column] ?? null) === null ? 'NULL' : `\`${visible(row[column] ?? '')}\``,
      ),
    ),
  );
}

/** Blanks at the ends would be lost in Markdown. */
function visible(value: string): string {
  if (value === '') return '(empty)';
  return value.replace(/^ +| +$/g, (blanks) => '␣'.repeat(blanks.length));
}

const HEAD = `# The contract language

<!-- Written by \`npm run docs\` from test/fixtures/contract-examples; do not edit. -->

A contract is a class with decorators. It says which field of a record becomes which column of which table, and what a
value must be; the validator compiles it into a function from bytes to COPY text. This page has every part of the language
with one example each. The result below each example is what Sluice makes of the input shown (a tab is shown as →, a blank at an end as ␣).

How a dataset is written, tested and loaded: [Add a dataset](add-a-dataset.md). A typo in a contract (an unknown option, a
property without a decorator, a property that is typed as a number) stops every process at its start with
\`DATASET_INVALID\`, which names class and property.
`;

const KIND_TEXT = `A kind turns a cleaned value into what its column takes, and refuses what the column would not take. Properties are
always \`string\` or \`string | null\`: nothing is converted on the way but to COPY text, so no digit is lost. \`columnType\` is
the column of tables that are derived from the contract.`;

const TAIL = `## What the language does not have

- **Several rows of the main table from one record.** A record is one row of its table. If a record holds several rows of
  the same kind, give the record a table of its own, for example with its number and date, and the rows a child table.
- **Several record types in one file.** One dataset reads one kind of record; the others can be skipped by how their lines
  begin (\`skipLinesStartingWith\`), and read by a second dataset.
- **Totals.** A footer's total is not compared with the records.
- **References to other datasets' tables.** A \`FOREIGN KEY\` in a migration is checked when the job ends; it rules out
  \`replace\` for the table it refers to.
- **Delimiters of more than one character, and other line ends than LF, CRLF and CR.**
- **Groups of columns inside groups of columns** (CSV). Arrays inside arrays (NDJSON) go to any depth.
`;
