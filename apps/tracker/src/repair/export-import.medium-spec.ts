import { describe, expect, it } from '@jest/globals';
import type { DeadLettersEdited, ImportedRow } from '#api/dead-letter-edits.js';
import { importedJsonRow } from '#core/repair/export-rows.js';
import { splitRecord } from '#core/record/split-record.js';
import { JOBS, letter } from '../testing/read-api-rows.js';
import { JOB, correctionsOfShops } from '#test/support/corrections.js';

describe('exports of dead letters, and their imports', () => {
  const shops = correctionsOfShops();
  const { refused, send, post, edits, actions, exported, codes } = shops;

  /** As the command line reads a CSV. */
  const rowsOf = (csv: string): ImportedRow[] => {
    const [header = [], ...lines] = csv
      .replace('\ufeff', '')
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => splitRecord(Buffer.from(line), {}) ?? []);
    return lines.map((cells) => {
      const row = Object.fromEntries(header.map((name, at) => [name ?? '', cells[at] ?? '']));
      const { _dead_letter: id = '', _reasons: _, _record: record = '', ...fields } = row;
      return { id, fields, ...(record === '' ? {} : { record }) };
    });
  };

  describe('GET /dead-letters/export and POST /dead-letters/import', () => {
    const BYTES = [
      '012,=1+1,5',
      '12,"a ""b""\u3000, c", 7 ',
      "12,'-x,-5",
      '12,\u001b[2J,5',
      '12,a',
      '"12,a,5',
      '東,b,5',
    ];

    it('an export that is imported as it is changes nothing, in either format', async () => {
      await shops.folds.indexDeadLetters(BYTES.map((bytes, record) => refused(record, bytes)));
      await post('edits', { edits: [{ id: `${JOB}:6`, record: '777,b,5' }] });
      const csv = await exported(`job=${JOB}`);
      expect(csv).toMatch(/^\ufeff_dead_letter,_reasons,no,name,sum,_record\r\n/);
      expect(csv).toContain(`${JOB}:0,no must have 3 digits,012,'=1+1,5,\r\n`);
      expect(csv).not.toContain('\u001b');
      const rows = rowsOf(csv);
      expect(rows.length).toBe(BYTES.length);
      expect(await post('import', { rows })).toMatchObject({
        edited: 0,
        removed: 0,
        unchanged: 7,
        problems: [],
        warnings: [],
      });
      const lines = (await exported(`job=${JOB}&format=ndjson`)).trimEnd().split('\n');
      const json = lines.map((line) => importedJsonRow(line));
      expect(await post('import', { rows: json })).toMatchObject({
        edited: 0,
        unchanged: 7,
        problems: [],
        warnings: [],
      });
      expect(await edits()).toEqual(['6 777,b,5']);
    });

    it('takes what was changed, and keeps the bytes of all other fields', async () => {
      await shops.folds.indexDeadLetters(BYTES.map((bytes, record) => refused(record, bytes)));
      const rows = rowsOf(await exported(`job=${JOB}`)).map((row) =>
        row.record === undefined
          ? { ...row, fields: { ...row.fields, no: '123' } }
          : { ...row, record: '124,a,5' },
      );
      const answer = await post('import', { rows, by: 'ann' });
      expect(answer).toMatchObject({ edited: 7, problems: [], check: { passing: 7 } });
      expect(await edits()).toEqual([
        '0 123,=1+1,5',
        '1 123,"a ""b""\u3000, c", 7 ',
        "2 123,'-x,-5",
        '3 123,\u001b[2J,5',
        '4 124,a,5',
        '5 124,a,5',
        '6 123,b,5',
      ]);
    });

    it('names rows that are unknown, decided or there twice, other columns, and two corrections of one record', async () => {
      await shops.folds.indexDeadLetters(
        [1, 2, 3, 4].map((record) => refused(record, record === 4 ? '12,a' : '12,a,5')),
      );
      await send('discard', { ids: [`${JOB}:2`], reason: 'x' });
      const row = (record: number, fields: object, rest: object = {}) => ({
        id: `${JOB}:${record}`,
        fields,
        ...rest,
      });
      const answer = await post('import', {
        rows: [
          row(1, { no: '123', phone: '' }),
          row(1, { no: '124' }),
          row(2, { no: '123' }),
          row(3, { no: '123', phone: '5' }),
          row(4, { no: '123' }, { record: '123,a,6' }),
          row(9, { no: '123' }),
        ],
      });
      expect(codes(answer)).toEqual([
        'DECIDED 2',
        'DUPLICATE 1',
        'FIELD_UNKNOWN 3',
        'TWO_CORRECTIONS 4',
        'UNKNOWN 9',
      ]);
      expect(await edits()).toEqual(['1 123,a,5']);
    });

    it('fills in a record whose fields could not be separated', async () => {
      await shops.folds.indexDeadLetters([refused(1, '12,a')]);
      const [row] = rowsOf(await exported(`job=${JOB}`));
      await post('import', { rows: [{ ...row, fields: { no: '123', name: 'a, b', sum: '5' } }] });
      expect(await edits()).toEqual(['1 123,"a, b",5']);
    });

    it('warns of what a spreadsheet has done, and takes it all the same', async () => {
      await shops.folds.indexDeadLetters([refused(1, '012,台北,1234567890123')]);
      const rows = [{ id: `${JOB}:1`, fields: { no: '12', name: '??', sum: '1.23457E+12' } }];
      const { warnings, edited } = await post('import', { rows });
      expect(edited).toBe(1);
      expect(warnings.map(({ code, field }) => `${code} ${field}`).sort()).toEqual([
        'ENCODING name',
        'LEADING_ZEROS no',
        'SCIENTIFIC sum',
      ]);
    });

    it('is one action over many pages, and refuses a page of one that has ended', async () => {
      await shops.folds.indexDeadLetters([1, 2, 3].map((record) => refused(record, '12,a,5')));
      const page = (record: number, more: object) =>
        send('import', { rows: [{ id: `${JOB}:${record}`, fields: { no: '123' } }], ...more });
      const { answer } = await page(1, { more: true });
      const { action } = answer as DeadLettersEdited;
      expect((await actions())[0]).toMatchObject({
        id: action,
        action: 'import',
        finishedAt: null,
        deadLetters: 1,
      });
      expect((await page(2, { action, more: true })).status).toBe(200);
      expect((await page(3, { action })).status).toBe(200);
      expect(await actions()).toMatchObject([{ id: action, deadLetters: 3, finishedAt: expect.anything() }]);
      expect((await page(3, { action })).status).toBe(422);
    });

    it('has the columns of all files, and the bytes of records of JSON', async () => {
      await shops.folds.indexDeadLetters([
        refused(1, '12,a,5'),
        letter(JOBS[2], 1, { dataset: 'shops', bytes: Buffer.from('x,1,2'), columns: ['city', '', 'no'] }),
        letter(JOBS[3], 7, {
          dataset: 'orders',
          bytes: Buffer.from('{ "no":1.50,"_x":"\\u0041" }'),
          columns: [],
        }),
      ]);
      const csv = await exported('dataset=shops');
      expect(csv.split('\r\n')[0]).toBe('\ufeff_dead_letter,_reasons,no,name,sum,city,column_2,_record');
      expect(csv).toContain(',2,,,x,1,\r\n');
      const json = await exported('dataset=orders');
      expect(json).toMatch(
        /^\{"_dead_letter":"[^"]+:7","_reasons":\[[^\]]*\],"no":1\.50,"_x":"\\u0041"\}\n$/,
      );
      const [line = ''] = json.split('\n');
      const changed = importedJsonRow(line.replace('1.50', '"123"'));
      await post('import', { rows: [changed] });
      expect(await edits()).toEqual(['7 {"no":"123","_x":"\\u0041"}']);
      for (const [query, status] of [
        ['dataset=orders&format=csv', 422],
        ['stage=validate', 422],
        ['dataset=nothing', 404],
        ['', 422],
        ['format=xls', 400],
        [`group=00000000-0000-0000-0000-000000000000&dataset=shops`, 422],
      ] as const)
        expect([query, (await fetch(`${shops.api.url}/dead-letters/export?${query}`)).status]).toEqual([
          query,
          status,
        ]);
    });

    it('gives large records page by page', async () => {
      const large = Array.from({ length: 30 }, (_, record) => refused(record, `12,${'x'.repeat(200_000)},5`));
      for (const each of large) await shops.folds.indexDeadLetters([each]);
      expect((await exported(`job=${JOB}`)).length).toBeGreaterThan(6_000_000);
      const { edited } = await post('fix', { filter: { job: JOB }, set: [{ field: 'no', value: '123' }] });
      expect(edited).toBe(30);
    });
  });
});
