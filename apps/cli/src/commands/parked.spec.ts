import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';
import { RunFolder } from '#test/support/run-folder.js';

const MESSAGES = [11, 7, 3].map((offset) => ({
  topic: 'sluice.customers.raw',
  partition: 2,
  offset: String(offset),
  reason: 'header "v" is missing.\u001b[2J',
  parkedAt: '2026-01-31T12:00:00.000Z',
  ...{ state: 'open' as const, decidedAt: null, note: null },
}));

describe('sluice parked', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  it('lists them, page after page, as many as asked for; a reason cannot steer the terminal', async () => {
    api.parked = MESSAGES;
    expect(await cli.run('parked')).toBe(0);
    expect(cli.stdout.text.split('\n')).toHaveLength(5);
    cli.stdout.text = '';
    await cli.run('parked', '--last', '1');
    expect(cli.stdout.text).toBe(
      'parked (UTC)         topic                 partition  offset  state  why\n' +
        '2026-01-31 12:00:00  sluice.customers.raw          2      11  open   header "v" is missing.\\u001b[2J\n',
    );
    cli.stdout.text = '';
    await cli.run('parked', '--json');
    expect(JSON.parse(cli.stdout.text)).toEqual(MESSAGES);
  });

  it('shows one with key, headers and value, none of which can steer the terminal', async () => {
    api.parked = MESSAGES;
    expect(await cli.run('parked', 'show', 'sluice.customers.raw/2/7')).toBe(0);
    expect(cli.stdout.text).toBe(
      [
        'place         sluice.customers.raw/2/7',
        'parked (UTC)  2026-01-31 12:00:00',
        'why           header "v" is missing.\\u001b[2J',
        'state         open',
        'key           k\\u001b[2J',
        'header v      9',
        'header v      none',
        'value         5 bytes',
        '',
        'a\\u001b[\ufffd\\n',
        '',
      ].join('\n'),
    );
  });

  it('writes the exact bytes of its value into a new file, and overwrites none', async () => {
    api.parked = MESSAGES;
    const folder = new RunFolder('parked');
    const file = join(folder.path, 'value');
    expect(await cli.run('parked', 'show', 'sluice.customers.raw/2/7', '--out', file)).toBe(0);
    expect(readFileSync(file)).toEqual(Buffer.from([0x61, 0x1b, 0x5b, 0xff, 0x0a]));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await cli.run('parked', 'show', 'sluice.customers.raw/2/7', '--out', file)).not.toBe(0);
    expect(cli.stderr.text).toContain('OUTPUT_UNWRITABLE');
    await folder.remove();
  });

  it('publishes one again, and skips one with a reason', async () => {
    api.parked = MESSAGES;
    await cli.run('parked', 'retry', 'sluice.customers.raw/2/7');
    await cli.run('parked', 'skip', 'sluice.customers.raw/2/3', '--reason', 'a test of ours');
    expect(cli.stdout.text).toBe(
      'sluice.customers.raw/2/7 is retried now.\nsluice.customers.raw/2/3 is skipped now.\n',
    );
    expect(api.posted.map(({ path, body }) => [path, body])).toEqual([
      ['/parked-messages/sluice.customers.raw/2/7/retry', {}],
      ['/parked-messages/sluice.customers.raw/2/3/skip', { reason: 'a test of ours' }],
    ]);
  });

  it.each([
    ['an unknown message', ['retry', 'sluice.customers.raw/2/8'], 'PARKED_MESSAGE_UNKNOWN'],
    ['no place', ['show'], 'needs the place of a message'],
    [
      'a place that is none',
      ['skip', 'sluice.customers.raw/2', '--reason', 'x'],
      'needs the place of a message',
    ],
    ['skipping without a reason', ['skip', 'sluice.customers.raw/2/7'], 'needs --reason'],
    ['another word', ['forget', 'sluice.customers.raw/2/7'], 'Allowed choices are show, retry, skip'],
  ])('refuses %s', async (_what, args, words) => {
    api.parked = MESSAGES;
    expect(await cli.run('parked', ...args)).not.toBe(0);
    expect(cli.stderr.text).toContain(words);
  });

  it('says when there are none', async () => {
    expect(await cli.run('parked')).toBe(0);
    expect(cli.stdout.text).toBe('No parked messages.\n');
  });
});
