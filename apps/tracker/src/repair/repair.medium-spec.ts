import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type pg from 'pg';
import { pino } from 'pino';
import type {
  DeadLetterGroupPage,
  DeadLetterGroupView,
  DeadLetterView,
  DeadLettersDiscarded,
  RepairActionView,
} from '#api/dead-letters.js';
import type { JobDetail } from '#api/jobs.js';
import type { Page } from '#api/pages.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';
import { MAX_SHAPES, OTHER_SHAPES } from '#core/repair/dead-letter-group.js';
import { forgetDeadLetters } from '#core/repair/dead-letter-sums.js';
import { eventually } from '#test/support/eventually.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import type { FoldRepository } from '../fold/fold.repository.js';
import { untilRow } from '#test/support/finalizing.js';
import { OlderDeadLetters } from '../fold/older-dead-letters.js';
import { shuffled } from '../testing/events.js';
import { foldsOver, unregisteredGroups } from '../testing/folds.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import { COUNTS, JOBS, letter } from '../testing/read-api-rows.js';

const UNKNOWN_GROUP = '00000000-0000-0000-0000-000000000000';

describe('repair', () => {
  let server: TestDatabase;
  let pool: pg.Pool;
  let folds: FoldRepository;
  let older: OlderDeadLetters;
  let api: ReadApiApp;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'repair test', maxConnections: 4 });
    folds = foldsOver(pool);
    older = new OlderDeadLetters(pool, unregisteredGroups(), pino({ level: 'silent' }));
    api = await startReadApi({ databaseUrl: server.url });
  });
  afterAll(async () => {
    await api.stop();
    await pool.end();
    await server.stop();
  });
  beforeEach(() => forgetAll());

  const forgetAll = (): Promise<unknown> =>
    pool.query(`TRUNCATE sluice.job, sluice.dead_letter, sluice.dead_letter_group, sluice.letter_columns, sluice.job_batch,
      sluice.job_stage, sluice.repair_action CASCADE`);
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(api.url + path);
    expect([path, response.status]).toEqual([path, 200]);
    return (await response.json()) as T;
  };
  const post = async (body: unknown): Promise<{ status: number; answer: DeadLettersDiscarded }> => {
    const response = await fetch(`${api.url}/dead-letters/discard`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify(body),
    });
    return { status: response.status, answer: (await response.json()) as DeadLettersDiscarded };
  };
  const discard = async (body: object): Promise<DeadLettersDiscarded> => {
    const { status, answer } = await post({ reason: 'test data', ...body });
    expect([status, answer]).toEqual([200, expect.anything()]);
    return answer;
  };
  const groups = async (query = ''): Promise<readonly DeadLetterGroupView[]> =>
    (await get<DeadLetterGroupPage>(`/dead-letters/groups${query}`)).items;
  const idsOf = async (query: string): Promise<string[]> =>
    (await get<Page<DeadLetterView>>(`/dead-letters?${query}`)).items.map(({ id }) => id);
  const refused = (job: number, record: number, value: string, facts: Partial<DeadLetter> = {}): DeadLetter =>
    letter(JOBS[job] ?? '', record, { bytes: Buffer.from(`${record},${value}`), ...facts });
  const error = (code: string, field: string | null) => ({
    code,
    field,
    message: '',
    severity: 'error' as const,
  });
  const reason = (code: string, field: string | null = 'name') => ({ findings: [error(code, field)] });

  describe('GET /dead-letters/groups', () => {
    it('has dead letters by reason and shape of the value, the largest first, each with an example', async () => {
      await folds.indexDeadLetters([
        ...[1, 2, 3].map((record) => refused(1, record, `${record}234567`)),
        ...[4, 5].map((record) => refused(2, record, 'x'.repeat(record))),
        refused(3, 6, '1234567', reason('WORSE')),
        refused(3, 7, '7654321'),
        refused(3, 8, 'y', reason('MALFORMED_ROW', null)),
      ]);
      const all = await groups();
      expect(
        all.map(({ code, field, shape, counts, example }) => [code, field, shape, counts.open, example]),
      ).toEqual([
        ['BAD', 'name', '9{7}', 4, `${JOBS[3]}:7`],
        ['BAD', 'name', 'A{4+}', 2, `${JOBS[2]}:5`],
        ...[
          ['WORSE', 'name', '9{7}', 1, `${JOBS[3]}:6`],
          ['MALFORMED_ROW', null, '', 1, `${JOBS[3]}:8`],
        ].sort(
          (a, b) => all.findIndex(({ code }) => code === a[0]) - all.findIndex(({ code }) => code === b[0]),
        ),
      ]);
      expect((await groups('?code=WORSE')).map(({ code }) => code)).toEqual(['WORSE']);
      expect(await groups('?dataset=others')).toEqual([]);
      expect(await groups('?state=discarded')).toEqual([]);
      const paged: DeadLetterGroupView[] = [];
      for (let cursor = ''; ;) {
        const page = await get<DeadLetterGroupPage>(`/dead-letters/groups?limit=1${cursor}`);
        paged.push(...page.items);
        if (page.next === null) break;
        cursor = `&cursor=${page.next}`;
      }
      expect(paged).toEqual(all);
    });

    it('do not hide a code: it is listed for any error of a dead letter, grouped or not', async () => {
      const both = { findings: [error('BAD', 'no'), error('WORSE', 'name')] };
      await folds.indexDeadLetters([
        refused(1, 1, 'x'),
        refused(1, 2, 'x', both),
        refused(2, 3, 'x', reason('WORSE')),
        refused(2, 4, 'x', reason('WORSE')),
      ]);
      await pool.query('UPDATE sluice.dead_letter SET group_id = NULL WHERE record = 4');
      expect(await idsOf('code=WORSE')).toEqual([`${JOBS[2]}:3`, `${JOBS[2]}:4`, `${JOBS[1]}:2`]);
      expect(await idsOf('code=BAD&dataset=shops')).toEqual([`${JOBS[1]}:1`, `${JOBS[1]}:2`]);
      expect(await idsOf('code=NONE')).toEqual([]);
    });

    it('lists the dead letters of one, those of the newest job first', async () => {
      await folds.indexDeadLetters([
        ...[1, 2].map((record) => refused(1, record, '1234567')),
        ...[8, 3].map((record) => refused(3, record, '1234567')),
        refused(3, 5, 'x'),
      ]);
      const [{ id } = { id: '' }] = await groups();
      const wanted = [`${JOBS[3]}:3`, `${JOBS[3]}:8`, `${JOBS[1]}:1`, `${JOBS[1]}:2`];
      expect(await idsOf(`group=${id}`)).toEqual(wanted);
      expect(await idsOf(`group=${id}&cursor=${wanted[1]}`)).toEqual(wanted.slice(2));
      await discard({ ids: [wanted[0]] });
      expect(await idsOf(`group=${id}&state=open`)).toEqual(wanted.slice(1));
      expect(await idsOf(`group=${id}&state=discarded`)).toEqual([wanted[0]]);
      expect(await idsOf(`group=${UNKNOWN_GROUP}`)).toEqual([]);
    });

    it('has at most a hundred shapes of one reason, and the rest in one group, however they come (GC2)', async () => {
      const shapes = Array.from({ length: MAX_SHAPES + 30 }, (_, at) => String.fromCodePoint(0x2190 + at));
      const letters = shapes.flatMap((value, at) => [
        refused(1, 2 * at, value),
        refused(1, 2 * at + 1, value),
      ]);
      const half = letters.length / 2;
      await Promise.all([
        folds.indexDeadLetters(letters.slice(0, half)),
        folds.indexDeadLetters(letters.slice(half)),
        folds.indexDeadLetters(letters.slice(half / 2, half + half / 2)),
        folds.indexDeadLetters([refused(1, 9_999, '→', reason('WORSE'))]),
      ]);
      const found = await groups('?code=BAD&limit=1000');
      expect(found).toHaveLength(MAX_SHAPES + 1);
      expect(found[0]).toMatchObject({ shape: OTHER_SHAPES, counts: { open: 60 } });
      expect(found.reduce((sum, { counts }) => sum + counts.open, 0)).toBe(letters.length);
      // One that is known stays what it is.
      await folds.indexDeadLetters([refused(2, 1, found[1]?.shape ?? '')]);
      expect((await groups('?code=BAD&limit=2'))[1]).toMatchObject({
        shape: found[1]?.shape,
        counts: { open: 3 },
      });
    });
  });

  describe('POST /dead-letters/discard', () => {
    beforeEach(() =>
      folds.indexDeadLetters([
        ...[1, 2, 3].map((record) => refused(1, record, '1234567')),
        refused(2, 4, 'x', { dataset: 'others', stage: 'load' }),
        refused(2, 5, 'x', { dataset: 'others', findings: [error('BAD', 'no'), error('WORSE', 'name')] }),
      ]),
    );

    it('takes ids: decided ones and unknown ones are named and left alone, a repeat does nothing', async () => {
      const unknown = [`${JOBS[1]}:77`, `${JOBS[3]}:1`];
      const ids = [`${JOBS[1]}:1`, `${JOBS[1]}:01`, `${JOBS[2]}:4`, ...unknown];
      expect(await discard({ ids, dryRun: true })).toEqual({
        ...{ action: null, dryRun: true, discarded: 2, decided: 0, unknown },
      });
      expect(await idsOf('state=discarded')).toEqual([]);
      expect(await discard({ ids })).toMatchObject({ dryRun: false, discarded: 2, decided: 0, unknown });
      expect(await discard({ ids, reason: 'once more' })).toMatchObject({
        discarded: 0,
        decided: 2,
        unknown,
      });
      expect(await idsOf('state=discarded')).toEqual([`${JOBS[2]}:4`, `${JOBS[1]}:1`]);
      expect(await get<DeadLetterView>(`/dead-letters/${JOBS[1]}/1`)).toMatchObject({
        ...{ state: 'discarded', reason: 'test data' },
      });
    });

    it('takes a group', async () => {
      const [{ id, counts } = { id: '', counts: { open: 0 } }] = await groups();
      expect(counts.open).toBe(3);
      expect(await discard({ group: id, dryRun: true })).toMatchObject({ discarded: 3 });
      expect(await discard({ group: id })).toMatchObject({ discarded: 3 });
      expect(await groups('?state=discarded')).toMatchObject([
        { id, counts: { open: 0, discarded: 3, resubmitted: 0, landed: 0, refusedAgain: 0 } },
      ]);
      expect((await groups('?state=open')).map(({ id: other }) => other)).not.toContain(id);
      expect(await discard({ group: UNKNOWN_GROUP })).toMatchObject({ discarded: 0 });
    });

    it.each<[object, number]>([
      [{ dataset: 'others' }, 2],
      [{ code: 'WORSE' }, 1],
      [{ stage: 'load' }, 1],
      [{ job: JOBS[1] }, 3],
      [{ job: JOBS[1], code: 'WORSE' }, 0],
      [{ dataset: 'shops', code: 'BAD', stage: 'validate' }, 3],
    ])('takes a filter: %j are %d', async (filter, count) => {
      expect(await discard({ filter, dryRun: true })).toMatchObject({ discarded: count });
      expect(await discard({ filter })).toMatchObject({ discarded: count });
      expect(await discard({ filter })).toMatchObject({ discarded: 0 });
      expect(await idsOf('state=discarded')).toHaveLength(count);
    });

    it.each<[object]>([
      [{}],
      [{ group: UNKNOWN_GROUP, ids: [`${JOBS[1]}:1`] }],
      [{ filter: {} }],
      [{ filter: { state: 'open' } }],
      [{ filter: { dataset: 'No Dataset' } }],
      [{ ids: [] }],
      [{ ids: ['1'] }],
      [{ ids: Array.from({ length: 1_001 }, () => `${JOBS[1]}:1`) }],
      [{ group: 'x' }],
      [{ group: UNKNOWN_GROUP, reason: '' }],
      [{ group: UNKNOWN_GROUP, reason: 'two\nlines' }],
      [{ group: UNKNOWN_GROUP, reason: undefined }],
      [{ group: UNKNOWN_GROUP, by: 'x'.repeat(101) }],
      [{ group: UNKNOWN_GROUP, dryRun: 'yes' }],
    ])('refuses %j', async (body) => {
      const { status, answer } = await post({ reason: 'test data', ...body });
      expect([status, answer]).toEqual([422, expect.objectContaining({ code: 'REQUEST_INVALID' })]);
    });

    it('is written down with what, how many, why and by whom, newest first', async () => {
      await discard({ filter: { dataset: 'others' }, by: 'ann' });
      await discard({ ids: [`${JOBS[1]}:2`], reason: 'a double' });
      await discard({ ids: [`${JOBS[1]}:3`], dryRun: true });
      const { items, next } = await get<Page<RepairActionView>>('/repair-actions');
      const time = expect.stringMatching(/^\d{4}-.*Z$/);
      const common = { id: expect.any(String), action: 'discard', detail: null, at: time, finishedAt: time };
      expect(items).toEqual([
        { ...common, selection: { ids: [`${JOBS[1]}:2`] }, deadLetters: 1, reason: 'a double', by: null },
        {
          ...common,
          selection: { filter: { dataset: 'others' } },
          deadLetters: 2,
          reason: 'test data',
          by: 'ann',
        },
      ]);
      expect(next).toBeNull();
      const second = await get<Page<RepairActionView>>(
        `/repair-actions?limit=1&cursor=${items[0]?.id ?? ''}`,
      );
      expect(second.items).toEqual(items.slice(1));
    });

    it('of two at a time one discards each dead letter, and one counts it (DC2)', async () => {
      await folds.indexDeadLetters(Array.from({ length: 5_000 }, (_, at) => refused(0, at, String(at))));
      const answers = await Promise.all([
        discard({ filter: { job: JOBS[0] } }),
        discard({ filter: { dataset: 'shops' } }),
        discard({ filter: { code: 'BAD' } }),
      ]);
      expect(answers.reduce((sum, { discarded }) => sum + discarded, 0)).toBe(5_005);
      const { items } = await get<Page<RepairActionView>>('/repair-actions');
      expect(items.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(5_005);
      await expectCountsToFit();
    });

    it('shows in the job, whose sums stay what they are', async () => {
      await pool.query(
        `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
           contract_version, epoch, counts, started_at, finished_at)
         VALUES ($1, 'shops', 'replace', 'succeeded', '{"display":"x"}', '', false, 0.05, '{}', 1, 1, $2, now(), now())`,
        [JOBS[1], JSON.stringify(COUNTS)],
      );
      await discard({ ids: [`${JOBS[1]}:1`, `${JOBS[1]}:3`] });
      const { counts, deadLetters } = await get<JobDetail>(`/jobs/${JOBS[1]}`);
      expect(deadLetters).toEqual({
        ...{ known: 3, expected: 3, complete: true },
        states: { open: 1, resubmitted: 0, landed: 0, refusedAgain: 0, discarded: 2 },
      });
      expect(counts).toEqual(COUNTS);
    });
  });

  it('survives that the read model is built again, with the same ids of groups (DC3)', async () => {
    const letters = [
      ...[1, 2, 3].map((record) => refused(1, record, '1234567')),
      refused(2, 4, 'x', { columns: ['no', 'name', 'more'] }),
    ];
    await folds.indexDeadLetters(letters);
    await discard({ ids: [`${JOBS[1]}:2`, `${JOBS[2]}:4`] });
    const before = [await groups(), await get('/dead-letters'), await get('/repair-actions')];
    await pool.query('UPDATE sluice.dead_letter_group SET discarded = discarded + 3, landed = 2');
    await folds.clear();
    expect((await groups()).map(({ counts }) => counts.open)).toEqual([0, 0]);
    await expectCountsToFit();
    expect(await folds.indexDeadLetters(letters)).toHaveLength(2);
    expect([await groups(), await get('/dead-letters'), await get('/repair-actions')]).toEqual(before);
    await expectCountsToFit();
  });

  describe('dead letters of an older build', () => {
    /** As migration 0020 finds them. */
    const age = async (): Promise<void> => {
      await pool.query('UPDATE sluice.dead_letter SET group_id = NULL');
      await pool.query('TRUNCATE sluice.dead_letter_group');
    };

    it('are open and listed, without a group, until the tracker has given them theirs in small steps', async () => {
      await folds.indexDeadLetters(
        Array.from({ length: 1_200 }, (_, at) => refused(1, at, at % 3 === 0 ? 'x' : '7')),
      );
      const before = await groups();
      await age();
      expect(await get('/dead-letters/groups')).toEqual({ items: [], next: null, ungrouped: 1_200 });
      expect(await get<DeadLetterView>(`/dead-letters/${JOBS[1]}/3`)).toMatchObject({
        state: 'open',
        group: null,
      });
      expect(await discard({ ids: [`${JOBS[1]}:3`] })).toMatchObject({ discarded: 1 });
      expect([await older.step(), await older.step()]).toEqual([500, 500]);
      expect(await get('/dead-letters/groups')).toMatchObject({ ungrouped: 200 });
      expect([await older.step(), await older.step()]).toEqual([200, 0]);
      expect(await groups()).toEqual(
        before.map(({ counts, ...group }) => ({
          ...group,
          counts: { ...counts, ...(group.shape === 'A' ? { open: counts.open - 1, discarded: 1 } : {}) },
        })),
      );
      await expectCountsToFit();
    });

    it('of many bytes come in smaller steps', async () => {
      const value = 'x'.repeat(1024 * 1024);
      await folds.indexDeadLetters(Array.from({ length: 9 }, (_, at) => refused(1, at, value)));
      await age();
      expect([await older.step(), await older.step(), await older.step()]).toEqual([4, 4, 1]);
    });

    it('count in the state that they have when a step has waited for them (OD1)', async () => {
      await folds.indexDeadLetters([refused(1, 1, 'x')]);
      await age();
      const discarding = await pool.connect();
      await discarding.query(
        `BEGIN; UPDATE sluice.dead_letter SET state = 'discarded'; UPDATE sluice.job_stage SET discarded = 1`,
      );
      const step = older.step();
      await untilRow(
        pool,
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      await discarding.query('COMMIT');
      discarding.release();
      expect(await step).toBe(1);
      await expectCountsToFit();
    });

    it('get their groups once, whichever of several trackers is at it, while others are folded (OD1)', async () => {
      await folds.indexDeadLetters(Array.from({ length: 900 }, (_, at) => refused(1, at, String(at))));
      await age();
      const others = [0, 1].map(
        () => new OlderDeadLetters(pool, unregisteredGroups(), pino({ level: 'silent' })),
      );
      for (const tracker of others) tracker.onApplicationBootstrap();
      await folds.indexDeadLetters(Array.from({ length: 200 }, (_, at) => refused(2, at, String(at))));
      await eventually(
        async () => (await get<DeadLetterGroupPage>('/dead-letters/groups')).ungrouped === 0,
        'all dead letters to have their groups',
      );
      await Promise.all(others.map((tracker) => tracker.beforeApplicationShutdown()));
      await expectCountsToFit();
    });
  });

  it('counts what a scan counts, whatever comes, twice, in any order, is discarded, cleared or begun again (GC1)', async () => {
    type Step = ['fold'] | ['discard', number] | ['clear'] | ['forget', number] | ['age'] | ['group'];
    const anyStep = fc.oneof(
      { weight: 6, arbitrary: fc.constant<Step>(['fold']) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('discard' as const), fc.nat(20)) },
      fc.constant<Step>(['clear']),
      fc.tuple(fc.constant('forget' as const), fc.nat(2)),
      fc.constant<Step>(['age']),
      fc.constant<Step>(['group']),
    );
    const anyLetter = fc
      .record({
        job: fc.nat(2),
        record: fc.nat(12),
        value: fc.oneof(fc.constantFrom('1', '12345', 'x', 'Taipei', ''), fc.string({ maxLength: 5 })),
        code: fc.constantFrom('BAD', 'WORSE'),
        field: fc.constantFrom('no', 'name', null),
        stage: fc.constantFrom('validate' as const, 'load' as const),
      })
      .map(({ job, record, value, code, field, stage }) =>
        refused(job, record, value, { ...reason(code, field), stage }),
      );
    // A message of one id is always the same message.
    const letters = fc.uniqueArray(anyLetter, {
      selector: ({ job, record }) => `${job}:${record}`,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(
        letters,
        fc.array(anyStep, { maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        async (all, steps, choices) => {
          await forgetAll();
          const deliveries = shuffled(all, choices);
          const discarded = new Set<string>();
          for (const [step, which] of steps) {
            if (step === 'fold')
              await Promise.all(deliveries.splice(0, 2).map((some) => folds.indexDeadLetters(some)));
            else if (step === 'discard') {
              const found = (await get<Page<DeadLetterView>>('/dead-letters?limit=1000')).items;
              const { id, group } = found[which % Math.max(1, found.length)] ?? {};
              if (group !== undefined && group !== null && which % 2 === 0) await discard({ group });
              else if (id !== undefined) await discard({ ids: [id] });
            } else if (step === 'clear') {
              await folds.clear();
              deliveries.push(...shuffled(all, choices));
            } else if (step === 'forget') {
              const job = JOBS[which] ?? '';
              await inTransaction(pool, async (client) => {
                await forgetDeadLetters(client, job);
                await client.query('DELETE FROM sluice.job_stage WHERE job = $1', [job]);
              });
            } else if (step === 'age') {
              await pool.query(`UPDATE sluice.dead_letter_group AS known SET (open, discarded) = (
              SELECT open - count(*) FILTER (WHERE state = 'open'), discarded - count(*) FILTER (WHERE state = 'discarded')
                FROM sluice.dead_letter WHERE group_id = known.id AND record % 2 = 0)`);
              await pool.query('UPDATE sluice.dead_letter SET group_id = NULL WHERE record % 2 = 0');
            } else await older.step();
            for (const { id } of (await get<Page<DeadLetterView>>('/dead-letters?state=discarded')).items)
              discarded.add(id);
            await expectCountsToFit();
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  /** The oracle: every count against the rows that it counts. */
  async function expectCountsToFit(): Promise<void> {
    const states = ['open', 'resubmitted', 'landed', 'refused-again', 'discarded'];
    const byScan = states
      .map((state) => `count(letter.job) FILTER (WHERE letter.state = '${state}')::integer AS "${state}"`)
      .join(', ');
    const kept = states.map((state) => `known.${state.replace('-', '_')}::integer AS "${state}"`).join(', ');
    const { rows: scanned } = await pool.query(
      `SELECT known.id, ${byScan} FROM sluice.dead_letter_group AS known
         LEFT JOIN sluice.dead_letter AS letter ON letter.group_id = known.id GROUP BY known.id ORDER BY known.id`,
    );
    const { rows: counted } = await pool.query(
      `SELECT known.id, ${kept} FROM sluice.dead_letter_group AS known ORDER BY known.id`,
    );
    expect(counted).toEqual(scanned);
    const decided = states.slice(1);
    const { rows: scannedStages } = await pool.query(
      `SELECT job, stage, count(*)::integer AS known, ${decided
        .map((state) => `count(*) FILTER (WHERE state = '${state}')::integer AS "${state}"`)
        .join(', ')}
         FROM sluice.dead_letter GROUP BY job, stage ORDER BY job, stage`,
    );
    const { rows: countedStages } = await pool.query(
      `SELECT job, stage, dead_letters::integer AS known, ${decided
        .map((state) => `${state.replace('-', '_')}::integer AS "${state}"`)
        .join(', ')}
         FROM sluice.job_stage WHERE dead_letters > 0 ORDER BY job, stage`,
    );
    expect(countedStages).toEqual(scannedStages);
    const { rows: lost } = await pool.query(
      `SELECT job, record FROM sluice.dead_letter WHERE group_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM sluice.dead_letter_group WHERE id = group_id)`,
    );
    expect(lost).toEqual([]);
  }
});
