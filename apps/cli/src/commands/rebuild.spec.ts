import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Outcome } from '#local/start-process.js';
import { CliHarness, LOCAL_STATE, noLocalSystem } from '#test/support/cli/cli-harness.js';

describe('sluice rebuild', () => {
  let cli: CliHarness;
  let outcome: Outcome;
  /** What the process would have in its environment. */
  let servers: Readonly<Record<string, string | undefined>>[];

  const answer = (value: object, code = 0): Outcome => ({
    code,
    stdout: `${JSON.stringify(value)}\n`,
    stderr: '',
  });

  beforeEach(() => {
    cli = new CliHarness();
    cli.environment = { DATABASE_URL: 'postgres://owner@db/sluice', KAFKA_BROKERS: 'kafka:9092' };
    servers = [];
    outcome = answer({ jobs: 0, actions: 0, decisions: 0, unreadable: 0 });
    cli.local = noLocalSystem({
      rebuild: (given) => {
        servers.push(given);
        return Promise.resolve(outcome);
      },
    });
  });

  it('runs on the servers of the environment, and says that nothing was missing', async () => {
    expect(await cli.run('rebuild')).toBe(0);
    expect(servers).toEqual([{ DATABASE_URL: 'postgres://owner@db/sluice', KAFKA_BROKERS: 'kafka:9092' }]);
    expect(cli.stdout.text).toContain('Nothing that sluice.history holds was missing.\nStart the services');
  });

  it('says what has come back, and warns of what cannot be read', async () => {
    outcome = answer({ jobs: 3, actions: 1, decisions: 1204, unreadable: 2 });
    expect(await cli.run('rebuild')).toBe(0);
    expect(cli.stdout.text).toContain('3 jobs, 1 repair action, 1,204 decisions about dead letters');
    expect(cli.stderr.text).toBe('warning: 2 messages of sluice.history cannot be read.\n');
  });

  it('prints one object with --json', async () => {
    outcome = answer({ jobs: 3, actions: 1, decisions: 4, unreadable: 0 });
    expect(await cli.run('rebuild', '--json')).toBe(0);
    expect(JSON.parse(cli.stdout.text)).toEqual({
      ok: true,
      jobs: 3,
      actions: 1,
      decisions: 4,
      unreadable: 0,
    });
  });

  it('gives no login to the Kafka of `sluice up`, which knows none', async () => {
    cli.local = noLocalSystem({ ...cli.local, state: () => Promise.resolve(LOCAL_STATE) });
    cli.environment = {};
    expect(await cli.run('rebuild')).toBe(0);
    expect(servers[0]).toMatchObject({
      DATABASE_URL: LOCAL_STATE.databaseUrl,
      KAFKA_BROKERS: LOCAL_STATE.kafkaBrokers,
    });
    expect(Object.entries(servers[0] ?? {}).filter(([, value]) => value === undefined)).not.toEqual([]);
  });

  it.each([[[]], [['--json']]])('passes on why it was refused: %j', async (flags) => {
    const error = { code: 'TRACKER_RUNNING', message: 'A tracker runs (127.0.0.1).', place: {} };
    outcome = answer({ error }, 1);
    expect(await cli.run('rebuild', ...flags)).toBe(1);
    expect(cli.stderr.text).toContain('A tracker runs (127.0.0.1). [TRACKER_RUNNING]');
    if (flags.length > 0)
      expect(JSON.parse(cli.stdout.text)).toMatchObject({
        ok: false,
        error: {
          code: 'TRACKER_RUNNING',
          retryable: true,
          todo: expect.stringContaining('Stop every tracker'),
        },
      });
  });

  it('shows what a process said that ended without an answer', async () => {
    outcome = { code: null, stdout: '', stderr: 'out of memory\n' };
    expect(await cli.run('rebuild')).toBe(1);
    expect(cli.stderr.text).toContain('The rebuild ended with code ?: out of memory');
  });

  it('needs servers', async () => {
    cli.environment = { DATABASE_URL: 'postgres://owner@db/sluice' };
    expect(await cli.run('rebuild')).toBe(4);
    expect(cli.stderr.text).toContain('KAFKA_BROKERS is not set');
    expect(servers).toEqual([]);
  });
});
