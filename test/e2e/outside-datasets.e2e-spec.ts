import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A dataset as docs/add-a-dataset.md section 9 allows it: compiled JavaScript in a folder that knows nothing of Sluice's. */
const FILES: Readonly<Record<string, string>> = {
  'README.md': '# coins\n',
  'migrations/001-tables.sql': 'CREATE TABLE coin (k text PRIMARY KEY);\n',
  'contract.js': `
    import { IsOptional } from 'class-validator';
    import { Column, Table } from '#core/dataset/columns.js';
    import { Required } from '#core/dataset/rules.js';
    export class Coin {}
    Column({ source: 'k' })(Coin.prototype, 'k');
    Required({ code: 'NO_KEY' })(Coin.prototype, 'k');
    IsOptional()(Coin.prototype, 'k');
    Table({ name: 'coin', key: ['k'] })(Coin);`,
  'prologue.js': `
    import { findWrongKindOfFile } from '#core/dataset/file-head.js';
    export function readPrologue(head, complete) {
      if (findWrongKindOfFile(head, complete) === 'undecided') return undefined;
      return { columns: ['k'], context: {}, dataStart: 0, firstLine: 1, findings: [] };
    }`,
  'dataset.js': `
    import { Coin } from './contract.js';
    import { readPrologue } from './prologue.js';
    export default { name: 'coins', title: 'Coins', contractVersion: 1, format: 'csv', contract: Coin,
      writeModes: ['append'], keepOfDuplicates: 'first', maxRefusedShare: 1, maxShrinkShare: 1, options: {},
      prologue: readPrologue };`,
};

describe('a dataset outside of the checkout', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-outside-'));
    mkdirSync(join(folder, 'coins', 'migrations'), { recursive: true });
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, 'coins', name), text);
    writeFileSync(join(folder, 'coins.csv'), 'a\nb\n');
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const sluice = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(ROOT, 'scripts/sluice.js'), ...args],
      {
        env: { ...process.env, SLUICE_DATASET_PATHS: folder, NODE_OPTIONS: '' },
      },
    );
    return stdout;
  };

  it('imports what the page says that it can', async () => {
    const stdout = await sluice('check', 'coins', join(folder, 'coins.csv'));
    expect(stdout).toContain('2 records read');
    expect(stdout).toContain('2 accepted');
  });

  it('is one file, where everything has its default, and is tested like one of this repository', async () => {
    mkdirSync(join(folder, 'notes'));
    writeFileSync(
      join(folder, 'notes', 'dataset.js'),
      `import { Column, Table } from '#core/dataset/columns.js';
       import { defineDataset } from '#core/dataset/define-dataset.js';
       import { int64 } from '#core/dataset/kinds.js';
       class Note {}
       Column({ kind: int64(), required: true })(Note.prototype, 'id');
       Column({})(Note.prototype, 'words');
       Table({ name: 'note', key: ['id'] })(Note);
       export default defineDataset({ title: 'Notes', contract: Note, csv: { delimiter: ';' } });`,
    );
    writeFileSync(join(folder, 'notes.csv'), 'id;words\n1;a;b\n2;c\n');
    await expect(sluice('check', 'notes', join(folder, 'notes.csv'))).rejects.toMatchObject({ code: 7 });
    const stdout = await sluice('dataset', 'test', 'notes');
    expect(stdout).toMatch(/^ok +generator/m);
    expect(stdout).not.toContain('FAILED');
  });
});
