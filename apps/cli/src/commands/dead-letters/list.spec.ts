import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { ApiServer, deadLetter, JOB_ID } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

describe('sluice dead-letters', () => {
  let api: ApiServer;
  let cli: CliHarness;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-letters-'));
    api = await ApiServer.start();
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  const exported = (): string => readFileSync(join(folder, 'refused.csv'), 'utf8');

  it('shows place, reasons and record, and cannot be made to steer the terminal', async () => {
    api.letters = [deadLetter({ record: 1233, line: 1235, text: '12,\u001b[2Jx' })];
    expect(await cli.run('dead-letters', '--job', JOB_ID)).toBe(0);
    expect(cli.stdout.text).toBe(
      `line 1,235 of job ${JOB_ID}, record 1,233\n` +
        '  BAD_NUMBER  number: must be 8 digits\n' +
        '  12,\\u001b[2Jx\n',
    );
  });

  it('shows the place and key of a message instead of a line', async () => {
    const place = {
      topic: 'sluice.customers.inbox',
      partition: 3,
      offset: '41',
      timestamp: null,
      headers: [],
    };
    api.letters = [
      deadLetter({ record: 7, message: { ...place, key: { text: 'A-\u001b[2J' } } }),
      deadLetter({ record: 8, message: { ...place, key: { base64: '/w==' } } }),
      deadLetter({ record: 9, message: { ...place, key: null } }),
    ];
    await cli.run('dead-letters', '--job', JOB_ID);
    const of = `of job ${JOB_ID}, record`;
    expect(cli.stdout.text.match(/^message.*$/gm)).toEqual([
      `message sluice.customers.inbox/3/41, key A-\\u001b[2J, ${of} 7`,
      `message sluice.customers.inbox/3/41, key /w== (base64), ${of} 8`,
      `message sluice.customers.inbox/3/41, ${of} 9`,
    ]);
  });

  it('shows N, and says when there are more', async () => {
    api.letters = [0, 1, 2, 3, 4].map((record) => deadLetter({ record }));
    await cli.run('dead-letters', '--limit', '3');
    expect(cli.stdout.text.match(/^line/gm)).toHaveLength(3);
    expect(cli.stdout.text).toContain('… and more.');
  });

  it('says when there are none', async () => {
    expect(await cli.run('dead-letters')).toBe(0);
    expect(cli.stdout.text).toBe('No refused records.\n');
  });

  it('--json prints one object a line, of all pages', async () => {
    api.letters = [0, 1, 2, 3, 4].map((record) =>
      deadLetter({ record, codes: record === 2 ? ['X'] : ['Y'] }),
    );
    expect(await cli.run('dead-letters', '--json', '--code', 'Y')).toBe(0);
    const lines = cli.stdout.text.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { record: number }).record)).toEqual([0, 1, 3, 4]);
  });

  it('--export writes all pages into one CSV with a byte order mark', async () => {
    api.letters = [0, 1, 2, 3, 4].map((record) => deadLetter({ record, text: `${record},=cmd` }));
    expect(await cli.run('dead-letters', '--job', JOB_ID, '--export', 'refused.csv')).toBe(0);
    expect(cli.stdout.text).toBe(`5 refused records written to ${join(folder, 'refused.csv')}\n`);
    expect(readFileSync(join(folder, 'refused.csv')).subarray(0, 3).toString('hex')).toBe('efbbbf');
    expect(parse(exported(), { bom: true })).toEqual([
      ['number', 'name', 'line', 'codes', 'reasons', 'raw'],
      ...[0, 1, 2, 3, 4].map((i) => [
        `${i}`,
        `'=cmd`,
        `${i + 2}`,
        'BAD_NUMBER',
        'number: must be 8 digits',
        '',
      ]),
    ]);
    expect(readdirSync(folder)).toEqual(['refused.csv']);
    expect(statSync(join(folder, 'refused.csv')).mode & 0o777).toBe(0o600);
  });

  it('--export fetches records whole that a list cuts', async () => {
    const long = 'x'.repeat(5000);
    api.letters = [
      deadLetter({ record: 0, text: `12,${long}` }),
      deadLetter({ record: 1, text: '13,short' }),
    ];
    await cli.run('dead-letters', '--export', 'refused.csv');
    expect(parse(exported(), { bom: true }).map(([, name]) => name)).toEqual(['name', long, 'short']);
    expect(api.asked.filter((path) => path.startsWith(`/dead-letters/`))).toEqual([
      `/dead-letters/${JOB_ID}/0`,
    ]);
  });

  it('--export leaves the old file and nothing else when it fails half-way', async () => {
    writeFileSync(join(folder, 'refused.csv'), 'old');
    api.letters = [
      deadLetter({ record: 0 }),
      deadLetter({ record: 1 }),
      deadLetter({ record: 2, dataset: 'orders' }),
    ];
    expect(await cli.run('dead-letters', '--export', 'refused.csv')).toBe(2);
    expect(cli.stderr.text).toContain('choose one by --dataset or --job');
    expect(exported()).toBe('old');
    expect(readdirSync(folder)).toEqual(['refused.csv']);
  });

  it('--export says when the file cannot be written', async () => {
    api.letters = [deadLetter({ record: 0 })];
    expect(await cli.run('dead-letters', '--export', 'missing/refused.csv')).toBe(1);
    expect(cli.stderr.text).toContain('refused.csv cannot be written (ENOENT)');
    expect(existsSync(join(folder, 'missing'))).toBe(false);
  });
});
