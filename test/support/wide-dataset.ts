import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const WIDE = 'wide';
export const WIDE_COLUMNS = 200;

const COLUMNS = Array.from({ length: WIDE_COLUMNS }, (_, at) => `c${at}`);

/**
 * A dataset of 200 columns without a header line. The first one is the key; each of the others takes small letters, and
 * anything else is a warning, or an error with the option `strict=yes`.
 * @returns its folder's parent, for `SLUICE_DATASET_PATHS`; the caller removes it
 */
export function writeWideDataset(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-wide-'));
  const own = join(folder, WIDE);
  mkdirSync(join(own, 'migrations'), { recursive: true });
  const files: Readonly<Record<string, string>> = {
    'README.md': `# ${WIDE}\n`,
    'migrations/001-tables.sql': `CREATE TABLE public.wide (${COLUMNS.map((name, at) => `${name} text${at === 0 ? ' PRIMARY KEY' : ''}`).join(', ')});\n`,
    'contract.js': `
      import { Column, Table } from '#core/dataset/columns.js';
      import { Matches, Required } from '#core/dataset/rules.js';
      export class Wide {}
      for (let at = 0; at < ${WIDE_COLUMNS}; at++) {
        const name = 'c' + at;
        const severity = ({ strict }) => (strict === 'yes' ? 'error' : 'warning');
        const rule = at === 0 ? Required({ code: 'NO_KEY' }) : Matches(/^[a-z]*$/, { code: 'ODD_' + at, severity });
        Column({ source: name })(Wide.prototype, name);
        rule(Wide.prototype, name);
      }
      Table({ name: '${WIDE}', key: ['c0'] })(Wide);`,
    'prologue.js': `
      import { findWrongKindOfFile } from '#core/dataset/file-head.js';
      const columns = Array.from({ length: ${WIDE_COLUMNS} }, (_, at) => 'c' + at);
      export function readPrologue(head, complete) {
        if (findWrongKindOfFile(head, complete) === 'undecided') return undefined;
        return { columns, context: {}, dataStart: 0, firstLine: 1, findings: [] };
      }`,
    'dataset.js': `
      import { Wide } from './contract.js';
      import { readPrologue } from './prologue.js';
      export default { name: '${WIDE}', title: 'Wide', contractVersion: 1, format: 'csv', contract: Wide,
        writeModes: ['append'], keepOfDuplicates: 'first', maxRefusedShare: 1, maxShrinkShare: 1,
        options: { strict: ['no', 'yes'] }, prologue: readPrologue };`,
  };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
  return folder;
}

/** One line of it. @param value of each column but the key; @param first of the first of these, if it is another one */
export function wideLine(key: string, value: string, first: string = value): string {
  return [key, first, ...Array<string>(WIDE_COLUMNS - 2).fill(value)].join(',');
}
