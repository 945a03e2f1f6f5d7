import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '#api/audit.js';
import { ApiServer } from '#test/support/cli/api-server.js';
import { CliHarness } from '#test/support/cli/cli-harness.js';

const ENTRY: AuditEntry = {
  ...{ id: '0199', at: '2026-11-30T08:00:00.000Z', service: 'ingestor', caller: 'token', who: 'c\u001bi' },
  ...{ role: 'operate', action: 'job.start', dataset: 'shops', targets: ['a-job'], outcome: 'ok' },
  finishedAt: '2026-11-30T08:00:01.000Z',
};

describe('sluice audit', () => {
  let api: ApiServer;
  let cli: CliHarness;

  beforeEach(async () => {
    api = await ApiServer.start();
    api.audit = [ENTRY, { ...ENTRY, caller: 'command line', role: null, dataset: null, outcome: null }];
    cli = new CliHarness();
    cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: api.url };
  });

  afterEach(() => api.close());

  it('shows who did what, without control characters', async () => {
    expect(await cli.run('audit')).toBe(0);
    const lines = cli.stdout.text.split('\n').map((line) => line.split(/ {2,}/));
    expect(lines[1]).toEqual([
      ...['2026-11-30 08:00:00', 'job.start', 'ok', 'shops', 'token', 'operate'],
      ...[expect.not.stringContaining('\u001b'), 'a-job'],
    ]);
    expect(lines[2]?.slice(2, 6)).toEqual(['not known', '–', 'command line', '–']);
  });

  it('asks for what is wanted, and stops at the last one', async () => {
    expect(await cli.run('audit', '--who', 'ci', '--action', 'job.start', '--last', '1', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toEqual([ENTRY]);
    expect(api.asked).toEqual(['/audit?limit=500&who=ci&action=job.start']);
  });

  it('refuses an action that there is none of', async () => {
    expect(await cli.run('audit', '--action', 'everything')).toBe(2);
  });
});
