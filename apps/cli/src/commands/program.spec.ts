import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { CliHarness, LOCAL_STATE, noLocalSystem } from '#test/support/cli/cli-harness.js';
import type { LocalSystem, ProcessStatus } from '#local/local-system.js';
import { buildProgram } from './program.js';

describe('sluice', () => {
  let cli: CliHarness;

  beforeEach(() => {
    cli = new CliHarness();
  });

  const names = buildProgram(new CliHarness().context(), () => undefined).commands.map((command) =>
    command.name(),
  );

  it.each(names)('%s --help shows an example', async (name) => {
    expect(await cli.run(name, '--help')).toBe(0);
    expect(cli.stdout.text).toContain(`$ npx sluice ${name}`);
    expect(cli.stderr.text).toBe('');
  });

  it.each(names)('docs/cli.md shows %s in an example or a list', (name) => {
    const page = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');
    expect(page).toMatch(new RegExp(`(npx sluice |- \`)${name}\\b`));
  });

  it.each(names)('docs/cli.md names every option of %s', (name) => {
    const page = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');
    const command = buildProgram(new CliHarness().context(), () => undefined).commands.find(
      (each) => each.name() === name,
    );
    for (const { long } of command?.options ?? []) expect(page).toContain(long);
  });

  it('--version prints nothing else', async () => {
    expect(await cli.run('--version')).toBe(0);
    expect(cli.stdout.text).toBe('1.2.3\n');
  });

  it('--help lists every command and every exit code', async () => {
    expect(await cli.run('--help')).toBe(0);
    for (const name of names) expect(cli.stdout.text).toContain(name);
    expect(cli.stdout.text).toContain('130  Ctrl-C');
  });

  it.each([
    ['an unknown command', ['rn'], '(Did you mean run?)'],
    ['an unknown flag', ['jobs', '--jsn'], '(Did you mean --json?)'],
    ['one argument too many', ['down', 'now'], 'too many arguments'],
    ['an unknown state', ['jobs', '--state', 'done'], 'Allowed choices are queued'],
    ['nothing at all', [], 'Usage: sluice'],
  ])('%s is a usage error', async (_what, args, text) => {
    expect(await cli.run(...args)).toBe(2);
    expect(cli.stderr.text).toContain(text);
    expect(cli.stdout.text).toBe('');
  });

  it('a wrong setting names its variable and not its value', async () => {
    cli.environment = { SLUICE_TRACKER_URL: 'secret-value' };
    expect(await cli.run('jobs')).toBe(2);
    expect(cli.stderr.text).toContain('SLUICE_TRACKER_URL');
    expect(cli.stderr.text).not.toContain('secret-value');
  });

  describe('the system of this checkout', () => {
    const local = (facts: Partial<LocalSystem>): void => {
      cli.local = noLocalSystem({ state: () => Promise.resolve(LOCAL_STATE), ...facts });
    };
    const process = (name: string, state: string): ProcessStatus => ({
      name,
      state,
      problem: null,
      pid: 7,
      address: null,
    });

    it('env can be evaluated by a shell, whatever the password', async () => {
      local({});
      expect(await cli.run('env')).toBe(0);
      expect(cli.stdout.text).toBe(
        `export DATABASE_URL='postgres://sluice:it'\\''s@127.0.0.1:5432/sluice'\n` +
          `export KAFKA_BROKERS='127.0.0.1:9092'\n`,
      );
    });

    it('env says when nothing is running', async () => {
      expect(await cli.run('env')).toBe(4);
      expect(cli.stdout.text).toBe('');
      expect(cli.stderr.text).toContain('sluice up');
    });

    it('up prints what is done on the way to stderr, and the addresses', async () => {
      local({
        up: ({ say, foreground }) => {
          say(`starting Kafka, foreground ${foreground}`);
          return Promise.resolve(LOCAL_STATE);
        },
      });
      expect(await cli.run('up')).toBe(0);
      expect(cli.stderr.text).toBe('starting Kafka, foreground false\n');
      expect(cli.stdout.text).toContain('tracker   http://127.0.0.1:3004');
    });

    it('up --foreground stays until Ctrl-C', async () => {
      local({
        up: ({ say, signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              resolve(LOCAL_STATE);
            });
            say('ready');
          }),
      });
      const code = cli.run('up', '--foreground');
      await cli.stderr.until('ready');
      cli.pressCtrlC();
      expect(await code).toBe(0);
    });

    it('down says whether there was anything to stop', async () => {
      local({ down: () => Promise.resolve(false) });
      expect(await cli.run('down')).toBe(0);
      expect(cli.stdout.text).toContain('Sluice was not running in this checkout.');
    });

    it.each([
      ['all is ready', [process('kafka', 'ready'), process('loader', 'ready')], true, 0],
      ['something is not', [process('kafka', 'ready'), process('loader', 'stopped')], false, 4],
      ['nothing runs', [], false, 4],
    ])('status ends with a code for scripts when %s', async (_what, processes, isReady, code) => {
      local({ status: () => Promise.resolve({ processes, isReady, troubles: [] }) });
      expect(await cli.run('status')).toBe(code);
    });

    it('status says why something is not ready', async () => {
      const troubles = ['validator is waiting (it ended again)'];
      const processes = [process('validator', 'waiting')];
      local({ status: () => Promise.resolve({ processes, isReady: false, troubles }) });
      await cli.run('status');
      expect(cli.stdout.text).toContain(troubles[0]);
    });

    it.each(['up', 'status'])('%s says that the running system is of another build', async (command) => {
      cli.build = 'new-build';
      const state = { ...LOCAL_STATE, builds: ['old-build'] };
      local({
        state: () => Promise.resolve(state),
        up: () => Promise.resolve(state),
        status: () =>
          Promise.resolve({ processes: [process('loader', 'ready')], isReady: true, troubles: [] }),
      });
      expect(await cli.run(command)).toBe(0);
      expect(cli.stderr.text + cli.stdout.text).toMatch(/another build \(old-build\).*npx sluice restart/);
    });

    it('restart stops and starts', async () => {
      const calls: string[] = [];
      local({
        down: () => Promise.resolve(calls.push('down') > 0),
        up: () => Promise.resolve(calls.push('up')).then(() => LOCAL_STATE),
      });
      expect(await cli.run('restart')).toBe(0);
      expect(calls).toEqual(['down', 'up']);
    });

    it('doctor says what to do, and ends with its own code', async () => {
      const requirements = [
        { name: 'Node', ok: true, detail: '20.19.0', action: null },
        { name: 'Java', ok: false, detail: 'not found', action: 'Install Java 17.' },
      ];
      local({ doctor: () => Promise.resolve(requirements) });
      expect(await cli.run('doctor')).toBe(7);
      expect(cli.stdout.text).toBe('ok    Node: 20.19.0\nFAIL  Java: not found\n      Install Java 17.\n');
    });

    it('has colours on a terminal, and none where NO_COLOR is set', async () => {
      local({ doctor: () => Promise.resolve([{ name: 'Node', ok: true, detail: '20', action: null }]) });
      await cli.onTerminal().run('doctor');
      expect(cli.stdout.text).toContain('\u001b[32mok');
      cli.stdout.text = '';
      cli.environment = { NO_COLOR: '1' };
      await cli.run('doctor');
      expect(cli.stdout.text).toBe('ok    Node: 20\n');
    });

    it('logs -f follows until Ctrl-C', async () => {
      local({
        logs: ({ service, follow, output, signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              resolve();
            });
            output.write(`${service ?? ''} ${follow}\n`);
          }),
      });
      const code = cli.run('logs', 'loader', '-f');
      await cli.stdout.until('loader true');
      cli.pressCtrlC();
      expect(await code).toBe(0);
    });
  });

  it('env --settings lists the settings of every service, from their classes', async () => {
    expect(await cli.run('env', '--settings')).toBe(0);
    expect(cli.stdout.text).toMatch(/^SLUICE_TRACKER_URL +cli/m);
    expect(cli.stdout.text).toMatch(/^SLUICE_BATCH_BYTES +524288 +ingestor/m);
    expect(cli.stdout.text).toMatch(/^DATABASE_URL .*\(secret\)$/m);
  });
});
