import { describe, expect, it } from '@jest/globals';
import type { DeadLettersChecked } from '#api/dead-letter-edits.js';
import { inTransaction } from '#common/postgres/pool.js';
import { forgetDeadLetters } from '#core/repair/dead-letter-sums.js';
import { eventually } from '#test/support/eventually.js';
import { clearReadModel } from '../fold/clear-read-model.js';
import { JOBS, letter } from '../testing/read-api-rows.js';
import { COLUMNS, JOB, correctionsOfShops } from '#test/support/corrections.js';

describe('corrections of dead letters', () => {
  const shops = correctionsOfShops();
  const { refused, send, post, one, edits, actions, codes } = shops;

  describe('POST /dead-letters/edits', () => {
    it('keeps the corrected record beside the original one, which stays open, and says who did it', async () => {
      await shops.folds.indexDeadLetters([refused(1, '12,a,5'), refused(2, 'x,b,5')]);
      const request = {
        edits: [
          { id: `${JOB}:1`, record: '123,a,5' },
          { id: `${JOB}:2`, record: 'y,b,5' },
        ],
      };
      const dry = await post('edits', { ...request, dryRun: true });
      expect(dry).toMatchObject({ action: null, edited: 2, check: { passing: 1, refused: 1 } });
      expect(dry.check.reasons).toEqual([{ code: 'BAD_NO', field: 'no', count: 1, examples: [`${JOB}:2`] }]);
      expect([await edits(), await actions()]).toEqual([[], []]);

      const { action } = await post('edits', { ...request, by: 'ann', reason: 'typing' });
      expect(await edits()).toEqual(['1 123,a,5', '2 y,b,5']);
      const view = await one(1);
      expect(view).toMatchObject({
        state: 'open',
        text: '12,a,5',
        edit: { text: '123,a,5', by: 'ann', action },
      });
      expect(Buffer.from(view.edit?.bytesBase64 ?? '', 'base64').toString()).toBe('123,a,5');
      expect(await actions()).toMatchObject([
        {
          id: action,
          action: 'edit',
          deadLetters: 2,
          by: 'ann',
          reason: 'typing',
          finishedAt: expect.anything(),
        },
      ]);
    });

    it('has the latest correction only, takes one back, and does nothing where nothing changes', async () => {
      await shops.folds.indexDeadLetters([refused(1, '12,a,5')]);
      const edit = (facts: object) => post('edits', { edits: [{ id: `${JOB}:1`, ...facts }] });
      expect(await edit({ record: '12,a,5' })).toMatchObject({ edited: 0, unchanged: 1 });
      expect((await edit({ record: '123,a,5' })).edited).toBe(1);
      expect(await edit({ record: '123,a,5' })).toMatchObject({ edited: 0, unchanged: 1 });
      expect((await edit({ recordBase64: Buffer.from('124,a,5').toString('base64') })).edited).toBe(1);
      expect(await edits()).toEqual(['1 124,a,5']);
      expect(await edit({ record: '12,a,5' })).toMatchObject({ removed: 1, edited: 0 });
      expect(await edits()).toEqual([]);
      await edit({ record: '125,a,5' });
      expect(await edit({ remove: true })).toMatchObject({ removed: 1 });
      expect(await edit({ remove: true })).toMatchObject({ removed: 0, unchanged: 1 });
      expect((await one(1)).edit).toBeNull();
    });

    it('names ids that are unknown, decided, there twice or changed meanwhile, and records that are none', async () => {
      await shops.folds.indexDeadLetters([1, 2, 3, 4, 5].map((record) => refused(record, '12,a,5')));
      await send('discard', { ids: [`${JOB}:2`], reason: 'x' });
      await post('edits', { edits: [{ id: `${JOB}:4`, record: '400,a,5', base: null }] });
      const answer = await post('edits', {
        edits: [
          { id: `${JOB}:1`, record: '100,a,5', base: null },
          { id: `${JOB}:01`, record: '101,a,5' },
          { id: `${JOB}:2`, record: '200,a,5' },
          { id: `${JOB}:3`, record: '300,a,5\n301,a,5' },
          { id: `${JOB}:4`, record: '401,a,5', base: null },
          { id: `${JOB}:5`, record: `"${'x'.repeat(300_000)}",a,5` },
          { id: `${JOB}:9`, record: '900,a,5' },
        ],
      });
      expect(codes(answer)).toEqual([
        'CHANGED 4',
        'DECIDED 2',
        'DUPLICATE 1',
        'NOT_ONE_RECORD 3',
        'TOO_LARGE 5',
        'UNKNOWN 9',
      ]);
      expect(answer.edited).toBe(1);
      expect(await edits()).toEqual(['1 100,a,5', '4 400,a,5']);
    });

    it.each([
      [{}],
      [{ edits: [] }],
      [{ edits: [{ id: 'x', record: 'a' }] }],
      [{ edits: [{ id: `${JOB}:1` }] }],
      [{ edits: [{ id: `${JOB}:1`, record: 'a', remove: true }] }],
      [{ edits: [{ id: `${JOB}:1`, record: 'a\0b' }] }],
      [{ edits: [{ id: `${JOB}:1`, recordBase64: '§' }] }],
      [{ edits: [{ id: `${JOB}:1`, record: 'a', state: 'landed' }] }],
    ])('refuses %j', async (body) => {
      expect((await send('edits', body)).status).toBe(422);
    });

    it('refuses a body of more than 2 MiB', async () => {
      const body = { edits: [{ id: `${JOB}:1`, record: 'x'.repeat(2 * 1024 * 1024) }] };
      expect((await send('edits', body)).status).toBe(413);
    });

    /** Corrects dead letter 1 in a session of its own, which commits when the request waits for it. */
    const whileCorrected = async <T>(request: () => Promise<T>): Promise<T> => {
      await shops.folds.indexDeadLetters([refused(1, 'x,b,y')]);
      const running = await inTransaction(shops.pool, async (client) => {
        await client.query('SELECT FROM sluice.dead_letter FOR UPDATE');
        await client.query(
          `INSERT INTO sluice.dead_letter_edit (job, record, bytes, action) VALUES ($1, 1, '100,b,y', gen_random_uuid())`,
          [JOB],
        );
        const asked = request();
        await eventually(async () => {
          const { rows } = await shops.pool.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          );
          return rows.length > 0;
        }, 'the request that waits for the row');
        return { asked };
      });
      return running.asked;
    };

    it('begins with the correction that was committed while the request waited for its dead letter (OP3)', async () => {
      const answer = await whileCorrected(async () => {
        const { rows } = await shops.pool.query<{ id: string }>(
          'SELECT group_id AS id FROM sluice.dead_letter',
        );
        return post('fix', { group: rows[0]?.id, set: [{ field: 'sum', value: '5' }] });
      });
      expect(answer.edited).toBe(1);
      expect(await edits()).toEqual(['1 100,b,5']);
    });

    it('sees that another request has corrected a dead letter while it waited for it (OP3)', async () => {
      const answer = await whileCorrected(() =>
        post('edits', { edits: [{ id: `${JOB}:1`, record: '200,b,5', base: null }] }),
      );
      expect(codes(answer)).toEqual(['CHANGED 1']);
      expect(await edits()).toEqual(['1 100,b,y']);
    });

    it('of two at a time each dead letter has one correction, of the later one', async () => {
      const records = Array.from({ length: 600 }, (_, record) => record);
      await shops.folds.indexDeadLetters(records.map((record) => refused(record, '12,a,5')));
      const request = (no: string) => ({
        edits: records.map((record) => ({ id: `${JOB}:${record}`, record: `${no},a,5` })),
      });
      const [one_, other] = await Promise.all([post('edits', request('100')), post('edits', request('200'))]);
      expect([one_.edited, other.edited]).toEqual([600, 600]);
      expect((await edits()).length).toBe(600);
      expect((await actions()).map(({ deadLetters }) => deadLetters)).toEqual([600, 600]);
    });
  });

  describe('POST /dead-letters/fix', () => {
    it('sets and replaces fields of all that are meant, says how many would pass, and leaves the rest as it is', async () => {
      await shops.folds.indexDeadLetters([
        refused(1, '12,"a, b",1'),
        refused(2, 'x-3,b,2'),
        refused(3, '"12,b,2'),
        refused(4, '12,b'),
        ...[5, 6].map((record) =>
          refused(record, `99${record},c,x`, {
            findings: [{ code: 'BAD_SUM', field: 'sum', message: '', severity: 'error' }],
          }),
        ),
      ]);
      const request = {
        filter: { code: 'BAD_NO' },
        set: [{ field: 'no', value: '555' }],
        replace: [{ field: 'name', pattern: '^(.)', replacement: '<$1>' }],
      };
      const dry = await post('fix', { ...request, dryRun: true });
      expect(dry).toMatchObject({ edited: 2, check: { checked: 2, passing: 2 } });
      expect(codes(dry)).toEqual(['MALFORMED 3,4']);
      expect(await edits()).toEqual([]);
      const answer = await post('fix', request);
      expect({ ...answer, action: null, dryRun: true }).toEqual(dry);
      expect(await edits()).toEqual(['1 555,"<a>, b",1', '2 555,<b>,2']);
      expect((await actions())[0]).toMatchObject({
        action: 'fix',
        selection: { filter: { code: 'BAD_NO' } },
        detail: { set: request.set, replace: request.replace },
        deadLetters: 2,
      });
      // The rule is applied to what stands there now.
      await post('fix', {
        ids: [`${JOB}:1`],
        replace: [{ field: 'name', pattern: '[<>]', flags: 'g', replacement: '' }],
      });
      expect(await edits()).toEqual(['1 555,"a, b",1', '2 555,<b>,2']);
      expect(
        codes(await post('fix', { ids: [`${JOB}:1`, `${JOB}:77`], set: [{ field: 'phone', value: '1' }] })),
      ).toEqual(['FIELD_UNKNOWN 1', 'UNKNOWN 77']);
    });

    it('corrects a member of JSON records', async () => {
      await shops.folds.indexDeadLetters([
        letter(JOBS[3], 1, {
          dataset: 'orders',
          bytes: Buffer.from('{"no":"12", "sum": 12345678901234567890}'),
          columns: [],
        }),
      ]);
      const answer = await post('fix', { filter: { job: JOBS[3] }, set: [{ field: 'no', value: '123' }] });
      expect(await edits()).toEqual(['1 {"no":"123", "sum": 12345678901234567890}']);
      expect(answer.check.reasons).toMatchObject([{ code: 'BAD_SUM', field: 'sum' }]);
    });

    it('ends a pattern that looks back for ever, and changes nothing by it', async () => {
      await shops.folds.indexDeadLetters([refused(1, `12,${'a'.repeat(60)}!,5`)]);
      const { status, answer } = await send('fix', {
        ids: [`${JOB}:1`],
        replace: [{ field: 'name', pattern: '^(a+)+$', replacement: '' }],
      });
      expect([status, answer]).toMatchObject([422, { code: 'REQUEST_INVALID' }]);
      expect(JSON.stringify(answer)).toContain('longer than 1000 ms');
      expect(await edits()).toEqual([]);
    });

    it.each([
      [{ filter: { code: 'X' } }],
      [{ set: [{ field: 'no', value: '1' }] }],
      [{ filter: {}, set: [{ field: 'no', value: '1' }] }],
      [{ group: 'x', set: [{ field: 'no', value: '1' }] }],
      [{ filter: { code: 'X' }, set: [{ field: 'no' }] }],
      [{ filter: { code: 'X' }, replace: [{ field: 'no', pattern: '(', replacement: '' }] }],
      [{ filter: { code: 'X' }, replace: [{ field: 'no', pattern: 'a', flags: 'y', replacement: '' }] }],
    ])('refuses %j', async (body) => {
      expect((await send('fix', body)).status).toBe(422);
    });
  });

  describe('POST /dead-letters/check', () => {
    it('says what would pass, what would be refused and why, and what cannot be sent, corrections included', async () => {
      await shops.folds.indexDeadLetters([
        refused(1, '12,a,5'),
        refused(2, '123,a,5'),
        refused(3, '12,a,5'),
        refused(4, '123,a', {
          findings: [{ code: 'RECORD_TOO_LARGE', field: null, message: '', severity: 'error' }],
          byteEnd: 999,
        }),
        refused(5, '123,a,5', { attempt: 3 }),
        refused(6, ',,'),
        letter(JOBS[2], 1, { dataset: 'shops', bytes: Buffer.from('123,a,5'), columns: COLUMNS }),
        letter(JOBS[0], 1, { dataset: 'gone', bytes: Buffer.from('123,a,5'), columns: COLUMNS }),
      ]);
      await post('edits', { edits: [{ id: `${JOB}:3`, record: '333,a,5' }] });
      const all = { filter: { stage: 'validate' } };
      const { check } = await post<DeadLettersChecked>('check', all);
      expect(check).toMatchObject({ checked: 8, passing: 2, refused: 2, unsendable: 4 });
      expect(check.reasons.map(({ code, count }) => [code, count])).toEqual([
        ['BAD_NO', 1],
        ['WOULD_BE_SKIPPED', 1],
      ]);
      expect(check.unsendableReasons.map(({ code }) => code).sort()).toEqual([
        'BYTES_CUT',
        'CONTRACT_NEWER',
        'DATASET_UNKNOWN',
        'PARKED',
      ]);
      expect(check.unknown).toContain('duplicates');
      const forced = await post<DeadLettersChecked>('check', { ...all, force: true });
      expect(forced.check).toMatchObject({ passing: 3, unsendable: 3 });
      expect(await post('check', { ids: [`${JOB}:2`, `${JOB}:99`] })).toMatchObject({
        check: { checked: 1, passing: 1 },
        unknown: [`${JOB}:99`],
      });
    });
  });

  it('survive a rebuild, and go with a job that begins again', async () => {
    await shops.folds.indexDeadLetters([refused(1, '12,a,5')]);
    await post('edits', { edits: [{ id: `${JOB}:1`, record: '123,a,5' }] });
    await inTransaction(shops.pool, clearReadModel);
    await shops.folds.indexDeadLetters([refused(1, '12,a,5')]);
    expect((await one(1)).edit).toMatchObject({ text: '123,a,5' });
    await inTransaction(shops.pool, (client) => forgetDeadLetters(client, JOB));
    expect(await edits()).toEqual([]);
  });
});
