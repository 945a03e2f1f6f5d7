import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import * as columns from '#core/dataset/columns.js';
import * as kinds from '#core/dataset/kinds.js';
import * as recordRules from '#core/dataset/record-rules.js';
import * as rules from '#core/dataset/rules.js';
import { planContract } from '#core/record/compile/contract-plan.js';
import { exampleDataset, exampleFolders } from '../support/docs/contract-page.js';
import { ROOT } from './markdown-files.js';

/** Exported for the compiler, and no part of the language. */
const NOT_LANGUAGE = [
  'isCalendarDay',
  'decode',
  'equalBytes',
  'areDigits',
  'countCharacters',
  'ruleDecorator',
  'contractMetadata',
];
const page = readFileSync(join(ROOT, 'docs/contract.md'), 'utf8');

describe('docs/contract.md', () => {
  it('has every decorator, kind and rule that a contract can use', () => {
    const decorators = Object.keys({ ...columns, ...rules, ...recordRules }).filter((name) =>
      /^[A-Z][a-z]/.test(name),
    );
    const makers = Object.keys({ ...kinds, ...rules, ...recordRules }).filter(
      (name) => /^[a-z]/.test(name) && !NOT_LANGUAGE.includes(name),
    );
    const wanted = [...decorators, ...makers];
    expect(wanted.length).toBeGreaterThan(30);
    expect(wanted.filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
  });

  it.each(exampleFolders(ROOT))(
    'has an example %s that compiles, with every option of its own',
    async (folder) => {
      const dataset = await exampleDataset(folder);
      expect(planContract(dataset).columns.length).toBeGreaterThan(0);
      expect(page).toContain(`title: '${dataset.title}'`);
    },
  );

  it.each([
    ['Column', 'ColumnOptions'],
    ['Table', 'TableOptions'],
    ['ChildTable', 'ChildTableOptions'],
    ['csv', 'CsvDialect'],
    ['deletes', 'DeleteOptions'],
    ['a marker', 'DeleteMarker'],
  ])('names every option of %s', (_, type) => {
    const sources = ['columns.ts', 'csv-dialect.ts', 'deletes.ts'].map((file) =>
      readFileSync(join(ROOT, 'libs/core/src/dataset', file), 'utf8'),
    );
    const [, body = ''] =
      new RegExp(`interface ${type} \\{\\n(.*?)\\n\\}`, 's').exec(sources.join('\n')) ?? [];
    const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name ?? '');
    expect(options.length).toBeGreaterThan(1);
    expect(options.filter((option) => !new RegExp(`\\b${option}\\b`).test(page))).toEqual([]);
  });
});
