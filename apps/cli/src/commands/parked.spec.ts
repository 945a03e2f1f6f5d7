import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer } from '../../../../test/support/cli/api-server.js';
import { CliHarness } from '../../../../test/support/cli/cli-harness.js';

const MESSAGES = [11, 7, 3].map((offset) => ({
  topic: 'sluice.customers.raw',
  partition: 2,
  offset: String(offset),
  reason: 'header "v" is missing.\u001b[2J',
  parkedAt: '2026-01-31T12:00:00.000Z',
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
      'parked (UTC)         topic                 partition  offset  why\n' +
        '2026-01-31 12:00:00  sluice.customers.raw          2      11  header "v" is missing.\\u001b[2J\n',
    );
    cli.stdout.text = '';
    await cli.run('parked', '--json');
    expect(JSON.parse(cli.stdout.text)).toEqual(MESSAGES);
  });

  it('says when there are none', async () => {
    expect(await cli.run('parked')).toBe(0);
    expect(cli.stdout.text).toBe('No parked messages.\n');
  });
});
