import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DeadLettersEdited, ImportDeadLetters } from '#api/dead-letter-edits.js';
import { ApiServer, datasetView, deadLetter, JOB_ID } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { NOTHING_EDITED } from './add-answers.js';

const EDITED: DeadLettersEdited = {
  ...NOTHING_EDITED,
  action: '01998f3e-7c4a-7000-8000-00000000000a',
  edited: 2,
  check: {
    ...NOTHING_EDITED.check,
    checked: 2,
    passing: 1,
    refused: 1,
    reasons: [{ code: 'BAD_NO', field: 'no', count: 1, examples: [`${JOB_ID}:2`] }],
  },
};

describe('corrections on the command line', () => {
  let api: ApiServer;
  let cli: CliHarness;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-edits-'));
    api = await ApiServer.start();
    api.datasets = [datasetView()];
    api.edited = [EDITED];
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });
  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });
  const run = (...args: string[]): Promise<number> => cli.run('dead-letters', ...args);
  const posted = (): unknown[] => api.posted.map(({ body }) => body);
  const by = expect.any(String);

  describe('fix', () => {
    it('sends the rule, and shows what would pass and what not', async () => {
      const replace = 'name=/a\\/b(.)/$1\\/=/gi';
      expect(await run('fix', `${JOB_ID}:1`, '--set', 'no=1=2', '--replace', replace, '--set', 'x=')).toBe(0);
      expect(posted()).toEqual([
        {
          ids: [`${JOB_ID}:1`],
          set: [
            { field: 'no', value: '1=2' },
            { field: 'x', value: '' },
          ],
          replace: [{ field: 'name', pattern: 'a\\/b(.)', replacement: '$1/=', flags: 'gi' }],
          by,
          dryRun: false,
        },
      ]);
      expect(cli.stdout.text).toBe(
        '2 refused records are corrected.\n' +
          'Of 2, the contract accepts 1, refuses 1; 0 cannot be sent.\n' +
          `  1 BAD_NO no, e.g. ${JOB_ID}:2\n` +
          'Only the loader can say: duplicates, foreign keys, unique keys, references.\n',
      );
    });

    it('asks where they are named by a filter, and not with --yes or --dry-run', async () => {
      expect(await run('fix', '--dataset', 'customers', '--set', 'no=1')).toBe(2);
      expect(cli.stderr.text).toContain('2 refused records would be corrected, and 1 of them would pass');
      expect(await run('fix', '--dataset', 'customers', '--set', 'no=1', '--yes', '--json')).toBe(0);
      expect(JSON.parse(cli.stdout.text)).toEqual({ ok: true, ...EDITED });
      expect(await run('fix', '--dataset', 'customers', '--set', 'no=1', '--dry-run')).toBe(0);
      expect(posted()).toMatchObject([{ dryRun: true }, { dryRun: false }, { dryRun: true }]);
      expect(cli.stdout.text).toContain('2 refused records would be corrected.\n');
    });

    it.each([
      [['fix', `${JOB_ID}:1`]],
      [['fix', '--set', 'no=1']],
      [['fix', `${JOB_ID}:1`, '--set', 'no']],
      [['fix', `${JOB_ID}:1`, '--replace', 'no=/a/']],
      [['fix', `${JOB_ID}:1`, '--replace', 'no=a']],
      [['edit']],
      [['edit', `${JOB_ID}:1`, `${JOB_ID}:2`]],
      [['export']],
      [['export', 'x.csv']],
      [['import']],
      [['import', 'missing.csv']],
      [['check']],
    ])('%j is a wrong command line', async (args) => {
      api.letters = [deadLetter({ record: 1 })];
      expect(await run(...args)).toBe(2);
      expect(posted()).toEqual([]);
    });
  });

  it('check shows what would become of them', async () => {
    expect(await run('check', '--dataset', 'customers')).toBe(0);
    expect(posted()).toEqual([{ filter: { dataset: 'customers' } }]);
    expect(cli.stdout.text).toContain('the contract accepts 1, refuses 1');
    expect(cli.stdout.text).toContain('x:1 was decided about before.');
  });

  describe('edit', () => {
    /** An editor that is a script. */
    const editor = (script: string): void => {
      const path = join(folder, 'editor.sh');
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
      cli.environment = { ...cli.environment, VISUAL: path, EDITOR: 'false' };
    };
    const page = (): string => readFileSync(join(folder, 'page'), 'utf8');
    beforeEach(() => {
      const record = '12,"a\nb"';
      api.letters = [
        deadLetter({
          ...{ record: 41, text: record, bytesBase64: Buffer.from(record).toString('base64'), state: 'open' },
          ...{ edit: null, columns: ['no', 'name'] },
          findings: [{ code: 'BAD_NO', field: 'no', message: 'no \u001b[2J is bad', severity: 'error' }],
        }),
      ];
    });

    it('opens the record below its reasons, and sends what was stored', async () => {
      editor(`cp "$1" ${folder}/page; stat -c %a "$1" > ${folder}/mode; sed -i 's/^12,/123,/' "$1"`);
      expect(await run('edit', `${JOB_ID}:41`, '--reason', 'typing')).toBe(0);
      expect(page()).toContain('# error: no \\u001b[2J is bad\n# columns: no, name\n');
      expect(page()).toMatch(/below this line ----\n12,"a\nb"\n$/);
      expect(readFileSync(join(folder, 'mode'), 'utf8')).toBe('600\n');
      expect(posted()).toEqual([
        {
          edits: [
            { id: `${JOB_ID}:41`, recordBase64: Buffer.from('123,"a\nb"').toString('base64'), base: null },
          ],
          ...{ by, reason: 'typing', dryRun: false },
        },
      ]);
      expect(readdirSync(tmpdir()).filter((name) => name.startsWith('sluice-edit-'))).toEqual([]);
    });

    it('does nothing where the editor fails, the line above the record is gone, or none is set', async () => {
      editor('exit 3');
      expect(await run('edit', `${JOB_ID}:41`)).toBe(1);
      expect(cli.stderr.text).toContain('[EDIT_REFUSED]');
      editor('echo x > "$1"');
      expect(await run('edit', `${JOB_ID}:41`)).toBe(1);
      cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
      expect(await run('edit', `${JOB_ID}:41`)).toBe(2);
      expect(posted()).toEqual([]);
    });

    it('says why a correction is refused', async () => {
      editor('sed -i s/12/13/ "$1"');
      const problem = { code: 'CHANGED' as const, field: null, message: 'someone', count: 1, ids: ['x'] };
      api.edited = [{ ...NOTHING_EDITED, problems: [problem] }];
      expect(await run('edit', `${JOB_ID}:41`)).toBe(1);
      expect(cli.stderr.text).toContain('CHANGED');
      api.letters = [deadLetter({ record: 41, state: 'discarded' })];
      expect(await run('edit', `${JOB_ID}:41`)).toBe(1);
      expect(cli.stderr.text).toContain('[DEAD_LETTER_DECIDED]');
    });
  });

  describe('export', () => {
    it('writes the file for its user alone, whole or not at all', async () => {
      api.exported = '_dead_letter,no\r\n';
      expect(await run('export', 'out.csv', '--dataset', 'customers', '--code', 'BAD')).toBe(0);
      expect(readFileSync(join(folder, 'out.csv'), 'utf8')).toBe(api.exported);
      expect(statSync(join(folder, 'out.csv')).mode & 0o777).toBe(0o600);
      expect(api.asked.at(-1)).toBe('/dead-letters/export?dataset=customers&code=BAD&format=csv');
      api.exported = null;
      expect(await run('export', 'out.csv', '--dataset', 'customers')).toBe(4);
      expect(readdirSync(folder)).toEqual(['out.csv']);
      expect(await run('export', 'no/folder.csv', '--dataset', 'customers')).not.toBe(0);
    });
  });

  describe('import', () => {
    const file = (content: string | Buffer, name = 'in.csv'): string => {
      writeFileSync(join(folder, name), content);
      return name;
    };
    const rows = (): unknown[] =>
      api.posted
        .map(({ body }) => body as ImportDeadLetters)
        .filter(({ dryRun }) => dryRun === false)
        .flatMap((body) => body.rows);
    const id = (record: number): string => `${JOB_ID}:${record}`;

    it.each([',', ';', '\t'])(
      'reads a CSV with %j, looks at all of it first, and then sends it',
      async (mark) => {
        const line = (...cells: string[]): string => `${cells.join(mark)}\r\n`;
        const name = file(
          '\ufeff' +
            line('_dead_letter', '_reasons', 'no', 'name', '_record', '') +
            line(id(1), 'x', '1', '"a ""b""\nc"', '', '') +
            line('', '', '', '', '', '') +
            line(id(2), 'x', '', '', '"1;2"', ''),
        );
        expect(await run('import', name)).toBe(0);
        expect(api.posted.map(({ body }) => (body as ImportDeadLetters).dryRun)).toEqual([true, false]);
        expect(rows()).toEqual([
          { id: id(1), fields: { no: '1', name: 'a "b"\nc' } },
          { id: id(2), fields: { no: '', name: '' }, record: '1;2' },
        ]);
      },
    );

    it('reads NDJSON, and leaves the record’s text as it is', async () => {
      const own = `"_dead_letter":"${id(1)}","_reasons":["x"]`;
      const name = file(
        `{${own}, "no": 1.50, "a":{"_record":[1,"}"]}}\n\n{"_record":"{x",${own.replace(':1"', ':2"')}}\n`,
      );
      expect(await run('import', name)).toBe(0);
      expect(rows()).toEqual([
        { id: id(1), record: '{"no": 1.50,"a":{"_record":[1,"}"]}}' },
        { id: id(2), record: '{x' },
      ]);
    });

    it('sends pages as one action, and names ids that stand there twice', async () => {
      const lines = Array.from({ length: 2_500 }, (_, record) => `${id(record)},x\n`);
      const name = file(`_dead_letter,no\n${lines.join('')}${id(7)},y\n`);
      expect(await run('import', name, '--json')).toBe(0);
      const pages = api.posted.map(({ body }) => body as ImportDeadLetters);
      expect(pages.map(({ rows: all, more, action }) => [all.length, more, action])).toEqual(
        ['dry', 'real'].flatMap(() => [
          [1000, true, undefined],
          [1000, true, EDITED.action],
          [500, false, EDITED.action],
        ]),
      );
      expect(JSON.parse(cli.stdout.text)).toMatchObject({
        ok: true,
        edited: 6,
        problems: [{ code: 'DUPLICATE', count: 1, ids: [id(7)] }],
      });
    });

    it('asks before it takes what a spreadsheet has damaged', async () => {
      const warning = { code: 'LEADING_ZEROS' as const, field: 'no', count: 3, examples: [id(1)] };
      api.edited = [{ ...EDITED, warnings: [warning] }];
      const name = file(`_dead_letter,no\n${id(1)},1\n`);
      expect(await run('import', name)).toBe(2);
      expect(cli.stderr.text).toContain('Warning: in 3 records no has lost leading zeros');
      expect(rows()).toEqual([]);
      expect(await run('import', name, '--yes')).toBe(0);
      expect(rows().length).toBe(1);
    });

    it.each([
      ['_dead_letter,no\nx,1\n', 'line 2'],
      ['no,name\n1,2\n', 'no column _dead_letter'],
      ['', 'no column _dead_letter'],
      ['_dead_letter,no,no\n', 'the column no twice'],
      [`_dead_letter,no\n${JOB_ID}:1,1,2\n`, 'line 2'],
      [`_dead_letter,no\n${JOB_ID}:1,"1\n`, 'line 2'],
      [Buffer.concat([Buffer.from(`_dead_letter,no\n${JOB_ID}:1,`), Buffer.of(0xe9, 0x0a)]), 'not UTF-8'],
      [Buffer.from('\ufeff_dead_letter,no\n', 'utf16le'), 'UTF-16'],
      ['{"no":1}\n', 'member _dead_letter'],
      ['{"_dead_letter":', 'line 1'],
    ])('refuses %j, with its place', async (content, why) => {
      expect(await run('import', file(content))).toBe(1);
      expect(cli.stderr.text).toContain('[IMPORT_INVALID]');
      expect(cli.stderr.text).toContain(why);
      expect(rows()).toEqual([]);
    });
  });
});
