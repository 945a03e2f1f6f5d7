/**
 * A record that cannot be loaded costs itself and nothing else: it becomes a dead letter with its line and reasons,
 * its neighbours are loaded, and the job continues.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { JobDetail } from '#api/jobs.js';
import { query } from '../../support/expect-tables.js';
import { clientOf, lettersOf, runJob } from '../../support/run-job.js';
import { fileOf, row, rows, validBan } from '../../support/small-file.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const MIB = 1024 * 1024;
const FIRST_LINE = 3;

export const badRecords = scenario('a record that is refused', {}, (running) => {
  let system: System;

  beforeAll(async () => {
    system = running();
    await query(system, 'TRUNCATE tax_registration CASCADE');
  });

  async function load(content: string | Buffer): Promise<JobDetail> {
    const source = join(system.folder, 'source.csv');
    writeFileSync(source, content);
    return runJob(system, { dataset: 'tax-registration', source, allowShrink: true, maxRefusedShare: 1 });
  }

  const loadedBans = async (): Promise<string[]> =>
    (await query<{ ban: string }>(system, 'SELECT ban FROM tax_registration ORDER BY ban')).map(
      ({ ban }) => ban,
    );

  /** Two good rows, the bad record, two good rows: the good ones are loaded, the bad one is explained. */
  async function expectOnlyRefused(record: string | Buffer, codes: string[]): Promise<void> {
    const content = Buffer.concat([
      Buffer.from(fileOf(row(1), row(2))),
      Buffer.from(record),
      Buffer.from(`\n${row(3)}\n${row(4)}\n`),
    ]);
    const job = await load(content);
    expect(job).toMatchObject({ state: 'succeeded', counts: { read: 5, loaded: 4, refused: 1 } });
    expect(await loadedBans()).toEqual([1, 2, 3, 4].map(validBan));
    const [letter, ...others] = await lettersOf(system, job.id);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ record: 2, line: FIRST_LINE + 2, codes });
    expect(letter?.findings.every(({ message }) => message.length > 10)).toBe(true);
  }

  it.each([
    ['a wrong field count', `${row(9)},one more`, ['MALFORMED_ROW']],
    ['a stray quote', row(9).replace('商行"', '"商行"'), ['MALFORMED_ROW']],
    ['one undecodable byte', Buffer.concat([Buffer.from(row(9)), Buffer.from([0xff])]), ['MALFORMED_ROW']],
    ['a number that is none', row(9, { ban: '1234567' }), ['INVALID_BAN']],
    ['full-width digits', row(9, { ban: '１２３４５６７８' }), ['INVALID_BAN']],
    ['a name that is too long', row(9, { name: '長'.repeat(256) }), ['FIELD_TOO_LONG']],
    ['a key that is there already', row(1), ['DUPLICATE']],
  ])('%s', async (_, record, codes) => {
    await expectOnlyRefused(record, codes);
  });

  it('a row of 20 MB: kept as its first bytes and its place', async () => {
    const huge = `"${'x'.repeat(20 * MIB)}"`;
    const job = await load(fileOf(row(1), huge.slice(1, -1), row(2)));
    expect(job).toMatchObject({ state: 'succeeded', counts: { read: 3, loaded: 2, refused: 1 } });
    const [letter] = await lettersOf(system, job.id);
    expect(letter).toMatchObject({ line: FIRST_LINE + 1, codes: ['RECORD_TOO_LARGE'] });
    expect((letter?.byteEnd ?? 0) - (letter?.byteStart ?? 0)).toBeGreaterThanOrEqual(20 * MIB);
    const whole = await clientOf(system).deadLetter(job.id, 1);
    expect(Buffer.from(whole.bytesBase64 ?? '', 'base64').length).toBeLessThan(MIB);
  });

  it('an unclosed quote in the middle of a large file costs one line', async () => {
    const lines = rows(20_000);
    lines[10_000] = row(10_000).replace('號"', '號');
    const job = await load(fileOf(...lines));
    expect(job).toMatchObject({ state: 'succeeded', counts: { read: 20_000, loaded: 19_999, refused: 1 } });
    expect(await lettersOf(system, job.id)).toMatchObject([
      { line: FIRST_LINE + 10_000, codes: ['MALFORMED_ROW'] },
    ]);
  });

  it('a refused record comes back byte for byte', async () => {
    const bytes = Buffer.concat([Buffer.from(row(9, { ban: 'x' })), Buffer.from([0x00, 0xfe, 0x80])]);
    const job = await load(Buffer.concat([Buffer.from(fileOf(row(1))), bytes, Buffer.from('\n')]));
    const letter = await clientOf(system).deadLetter(job.id, 1);
    expect(Buffer.from(letter.bytesBase64 ?? '', 'base64')).toEqual(bytes);
  });

  it('blank lines and rows of nulls are skipped, and counted', async () => {
    const job = await load(fileOf(row(1), '', 'NULL,null,NA,N/A' + ','.repeat(12), row(2)));
    expect(job).toMatchObject({ counts: { read: 4, loaded: 2, refused: 0, skipped: 2 } });
  });

  it('too many of them fail the job, judged from 100 records on, before anything is visible (G5)', async () => {
    await load(fileOf(...rows(5)));
    const lines = [...rows(94), ...Array.from({ length: 6 }, () => row(9, { ban: 'x' }))];
    const source = join(system.folder, 'bad.csv');
    writeFileSync(source, fileOf(...lines));
    const job = await runJob(system, { dataset: 'tax-registration', source });
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'JOB_REFUSED_SHARE' },
      counts: { read: 100, refused: 6, loaded: 0 },
    });
    expect(await loadedBans()).toHaveLength(5);
    expect(await lettersOf(system, job.id)).toHaveLength(6);
  });
});
