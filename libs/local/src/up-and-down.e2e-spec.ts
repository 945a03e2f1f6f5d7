import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { eventually } from '#test/support/eventually.js';
import { RunFolder } from '#test/support/run-folder.js';
import { LocalFolder, checkoutFolder } from './folders.js';
import { isAlive } from './process-identity.js';
import { expectHealthy } from './services.js';
import { lockHolder } from './supervisor-lock.js';
import { type SystemState, readState } from './system-state.js';

/** `sluice up` and `sluice down` as their users type them, in a folder of their own. */
let run: RunFolder;
let folder: LocalFolder;
const MAIN = join(checkoutFolder(), 'dist', 'apps', 'cli', 'src', 'main.js');
const NO_SERVICES = {
  SLUICE_INGESTORS: '0',
  SLUICE_VALIDATORS: '0',
  SLUICE_LOADERS: '0',
  SLUICE_TRACKERS: '0',
};
const ONE_SERVICE = { ...NO_SERVICES, SLUICE_VALIDATORS: '1' };

beforeAll(() => {
  run = new RunFolder('up');
  folder = new LocalFolder(join(run.path, 'local'));
});
afterAll(async () => {
  await sluice(['down']);
  await run.remove();
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, SLUICE_LOCAL_FOLDER: folder.path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function sluice(
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const child = start(args, env);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const supervisor = lockHolder(folder.lock);
  if (supervisor !== null) run.alsoEnd(supervisor.pid);
  return { code, output };
}

const stateNow = (): SystemState => readState(folder.state)!;
const refsOf = (state: SystemState) => state.processes.flatMap(({ ref }) => (ref === null ? [] : [ref]));

describe('sluice up', () => {
  let first: SystemState;

  it('starts Kafka, PostgreSQL and the four services, and returns when all of them are ready', async () => {
    const { code, output } = await sluice(['up']);
    expect({ code, output }).toMatchObject({ code: 0 });
    first = stateNow();
    expect(first.processes.map(({ name, phase }) => `${name}: ${phase}`).sort()).toEqual(
      ['ingestor', 'kafka', 'loader', 'postgres', 'tracker', 'validator'].map((name) => `${name}: ready`),
    );
    for (const name of ['ingestor', 'validator', 'loader', 'tracker']) {
      await expectHealthy(`http://127.0.0.1:${first.ports[name]!}/health/ready`);
    }
  });

  it('has made the tables', async () => {
    const client = new pg.Client({ connectionString: first.databaseUrl! });
    await client.connect();
    const { rows } = await client.query<{ found: boolean }>(
      `SELECT to_regclass('sluice.job') IS NOT NULL AS found`,
    );
    await client.end();
    expect(rows).toEqual([{ found: true }]);
  });

  it('leaves a running system alone', async () => {
    const { code, output } = await sluice(['up']);
    expect(code).toBe(0);
    expect(output).toContain('it is running already');
    expect(refsOf(stateNow())).toEqual(refsOf(first));
    expect((await sluice(['status'])).code).toBe(0);
  });

  it('SV2: after kill -9 of the supervisor, ends what it left and starts again at the same addresses', async () => {
    process.kill(lockHolder(folder.lock)!.pid, 'SIGKILL');
    await eventually(() => lockHolder(folder.lock) === null, 'the end of the supervisor');
    expect((await sluice(['status'])).output).toMatch(/supervisor +ended/);
    expect(refsOf(first).filter(isAlive)).toHaveLength(6);
    const { code, output } = await sluice(['up'], ONE_SERVICE);
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain('ended what an earlier start left running');
    expect(refsOf(first).filter(isAlive)).toEqual([]);
    expect(stateNow().ports).toEqual(first.ports);
  });

  it('is ended by `sluice down`, whole', async () => {
    const refs = refsOf(stateNow());
    expect(refs.filter(isAlive)).toHaveLength(3);
    expect((await sluice(['down'])).code).toBe(0);
    expect(refs.filter(isAlive)).toEqual([]);
    expect(lockHolder(folder.lock)).toBeNull();
    expect((await sluice(['down'])).output).toContain('was not running');
  });

  it.each(['SIGINT', 'SIGHUP'] as const)(
    '--foreground stays until %s, then ends everything',
    async (signal) => {
      const child = start(['up', '--foreground'], NO_SERVICES);
      run.alsoEnd(child.pid!);
      const closed = once(child, 'close');
      await new Promise<void>((resolve) => {
        let said = '';
        child.stderr!.on('data', (chunk: Buffer) => {
          said += chunk.toString();
          if (said.includes('ready; Ctrl-C')) resolve();
        });
        void closed.then(() => {
          resolve();
        });
      });
      const refs = refsOf(stateNow());
      expect(refs.filter(isAlive)).toHaveLength(2);
      child.kill(signal);
      await closed;
      expect(refs.filter(isAlive)).toEqual([]);
      expect(stateNow().phase).toBe('stopped');
    },
  );
});
