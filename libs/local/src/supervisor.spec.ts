import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { LocalFolder } from './folders.js';
import { PortChooser } from './free-ports.js';
import { LocalConfig } from './local.config.js';
import { isAlive } from './process-identity.js';
import type { ServiceSpec } from './services.js';
import { startProcess } from './start-process.js';
import { lockHolder } from './supervisor-lock.js';
import { Supervisor } from './supervisor.js';
import { type ProcessState, type SystemState, emptyState, readState, writeState } from './system-state.js';

/**
 * The supervisor with real processes: small HTTP servers in place of the services. Kafka and PostgreSQL are "given",
 * so nothing of them is started (local-servers.medium-spec.ts does that).
 */
const SERVICE = `
import { createServer } from 'node:http';
import { appendFileSync, existsSync } from 'node:fs';
const folder = process.env.TEST_FOLDER;
const note = (text) => appendFileSync(folder + '/notes', text + '\\n');
while (existsSync(folder + '/held')) await new Promise((resolve) => setTimeout(resolve, 5));
if (existsSync(folder + '/crash')) process.exit(Number(process.env.TEST_CRASH_CODE ?? 70));
createServer((_, response) => {
  response.end(JSON.stringify({ status: 'ok', problems: [], pid: process.pid }));
}).listen(Number(process.env.SLUICE_PORT), '127.0.0.1', () => note('up ' + process.env.DATABASE_URL));
process.on('SIGTERM', () => { note('drained'); process.exit(0); });
`;

let folder: LocalFolder;
let service: string;
let stop: AbortController;
let running: Promise<void> | undefined;
const said: string[] = [];

beforeEach(() => {
  const path = mkdtempSync(join(tmpdir(), 'sluice-supervisor-'));
  chmodSync(path, 0o755);
  folder = new LocalFolder(path).make();
  service = join(path, 'service.mjs');
  writeFileSync(service, SERVICE);
  stop = new AbortController();
  said.length = 0;
});
afterEach(async () => {
  stop.abort();
  await running?.catch(() => undefined);
  rmSync(folder.path, { recursive: true, force: true });
});

async function supervisor(
  options: { folder?: LocalFolder; services?: ServiceSpec[]; migrate?: string[] } = {},
): Promise<Supervisor> {
  const preferredPort = await new PortChooser().choose();
  return new Supervisor({
    folder: options.folder ?? folder,
    checkout: folder.path,
    config: Object.assign(new LocalConfig(), {
      kafkaBrokers: '127.0.0.1:1',
      databaseUrl: 'postgres://given',
      readyTimeoutMs: 30_000,
    }),
    services: options.services ?? [{ name: 'loader', instances: 2, preferredPort, main: service }],
    migrate: options.migrate ?? ['-e', ''],
    run: 'this run',
    logger: pino({ level: 'silent' }),
    housekeepingEveryMs: 20,
    say: (line) => said.push(line),
  });
}

function untilState(fits: (state: SystemState) => boolean, of = folder): Promise<SystemState> {
  return eventually(
    () => {
      const state = readState(of.state);
      return state !== undefined && fits(state) && state;
    },
    'the state of the system',
    20_000,
  );
}

const isReady = ({ phase }: SystemState): boolean => phase === 'ready';
const named = (state: SystemState, name: string): ProcessState =>
  state.processes.find((process) => process.name === name)!;

beforeEach(() => {
  process.env.TEST_FOLDER = folder.path;
});
afterEach(() => {
  delete process.env.TEST_FOLDER;
  delete process.env.TEST_CRASH_CODE;
});

describe('Supervisor', () => {
  it('starts every instance, says where it is, drains on request and leaves nothing', async () => {
    running = (await supervisor()).run(stop.signal);
    const state = await untilState(isReady);
    expect(state.processes.map(({ name, phase }) => `${name} ${phase}`)).toEqual([
      'loader ready',
      'loader-2 ready',
    ]);
    expect(state.ports).toEqual({
      loader: named(state, 'loader').port,
      'loader-2': named(state, 'loader-2').port,
    });
    stop.abort();
    await running;
    expect(readState(folder.state)).toMatchObject({ phase: 'stopped', problem: null });
    for (const { ref } of state.processes) expect(isAlive(ref!)).toBe(false);
    const notes = readFileSync(join(folder.path, 'notes'), 'utf8').trim().split('\n');
    expect(notes).toEqual(['up postgres://given', 'up postgres://given', 'drained', 'drained']);
    expect(existsSync(folder.lock)).toBe(false);
  });

  it('remembers the ports', async () => {
    running = (await supervisor()).run(stop.signal);
    const { ports } = await untilState(isReady);
    stop.abort();
    await running;
    stop = new AbortController();
    running = (await supervisor()).run(stop.signal);
    expect((await untilState(isReady)).ports).toEqual(ports);
  });

  it('SP1: starts a killed process again, at the same port', async () => {
    running = (await supervisor()).run(stop.signal);
    const before = named(await untilState(isReady), 'loader');
    process.kill(before.ref!.pid, 'SIGKILL');
    const after = named(
      await untilState(
        (state) => named(state, 'loader').restarts === 1 && named(state, 'loader').phase === 'ready',
      ),
      'loader',
    );
    expect(after.ref).not.toEqual(before.ref);
    expect(after.port).toBe(before.port);
  });

  it('continues with the others when one stays down', async () => {
    process.env.TEST_CRASH_CODE = '78';
    running = (await supervisor()).run(stop.signal);
    const before = await untilState(isReady);
    writeFileSync(join(folder.path, 'crash'), '');
    process.kill(named(before, 'loader').ref!.pid, 'SIGKILL');
    const after = await untilState((state) => named(state, 'loader').phase === 'failed');
    expect(said.at(-1)).toBe(named(after, 'loader').problem);
    expect(after.phase).toBe('ready');
    expect(isAlive(named(after, 'loader-2').ref!)).toBe(true);
  });

  it('SP2: does not try again with wrong settings, and ends what it has started', async () => {
    writeFileSync(join(folder.path, 'crash'), '');
    process.env.TEST_CRASH_CODE = '78';
    running = (await supervisor()).run(stop.signal);
    await expect(running).rejects.toMatchObject({ code: 'LOCAL_START_FAILED' });
    const state = readState(folder.state)!;
    expect(state.phase).toBe('failed');
    expect(state.problem?.message).toMatch(/ended \(exit code 78\)/);
    expect(state.processes.map(({ restarts }) => restarts)).toEqual([0, 0]);
    expect(existsSync(folder.lock)).toBe(false);
  });

  it('SV1: refuses to run beside another supervisor', async () => {
    running = (await supervisor()).run(stop.signal);
    await untilState(isReady);
    await expect((await supervisor()).run(stop.signal)).rejects.toMatchObject({ code: 'LOCAL_START_FAILED' });
    expect(readState(folder.state)?.phase).toBe('ready');
  });

  it('SV2: ends what a killed supervisor left running, before it starts anything', async () => {
    const left = await startProcess({
      name: 'loader',
      command: process.execPath,
      args: [service],
      cwd: folder.path,
      env: { ...process.env, SLUICE_PORT: String(await new PortChooser().choose()) },
      port: 0,
      logFile: folder.logOf('loader'),
      probe: () => Promise.resolve(),
      stopSteps: [{ signal: 'SIGTERM', waitMs: 10_000 }],
    });
    writeState(folder.state, {
      ...emptyState('earlier run', {}),
      phase: 'ready',
      processes: [
        {
          ...{
            name: 'loader',
            phase: 'ready',
            ref: left.ref,
            port: 0,
            restarts: 0,
            problem: null,
            build: null,
          },
          ...{ logFile: left.plan.logFile, stopSteps: left.plan.stopSteps },
        },
      ],
    });
    running = (await supervisor({ services: [] })).run(stop.signal);
    await untilState((state) => isReady(state) && state.run === 'this run');
    expect(isAlive(left.ref)).toBe(false);
    expect(said[0]).toBe('ended what an earlier start left running: loader');
  });

  it('SV2: leaves a process alone that merely got a pid of the earlier start', async () => {
    running = (await supervisor()).run(stop.signal);
    const state = await untilState(isReady);
    stop.abort();
    await running;
    const [first] = state.processes;
    writeState(folder.state, {
      ...state,
      processes: [{ ...first!, ref: { pid: process.pid, started: 'long ago' } }],
    });
    stop = new AbortController();
    running = (await supervisor({ services: [] })).run(stop.signal);
    await untilState(isReady);
    expect(said).not.toContainEqual(expect.stringContaining('left running'));
  });

  it('SV4: a broken state file or lock is written again', async () => {
    running = (await supervisor()).run(stop.signal);
    await untilState(isReady);
    for (const file of [folder.state, `${folder.state}.copy`, folder.lock]) writeFileSync(file, '{"x":');
    await untilState(isReady);
    await eventually(() => lockHolder(folder.lock)?.pid === process.pid, 'the lock', 20_000);
    rmSync(folder.state);
    rmSync(`${folder.state}.copy`);
    expect((await untilState(isReady)).planned).toEqual(['loader', 'loader-2']);
  });

  it('SV7: a full disk ends nothing, and what could not be written is written when there is space', async () => {
    running = (await supervisor()).run(stop.signal);
    await untilState(isReady);
    // A folder of the same name refuses the file as a full disk does.
    mkdirSync(`${folder.state}.copy.next`);
    const before = readState(folder.state)!;
    process.kill(named(before, 'loader').ref!.pid, 'SIGKILL');
    await eventually(() => said.some((line) => line.includes('starting it again')), 'the restart', 20_000);
    rmSync(`${folder.state}.copy.next`, { recursive: true });
    await untilState((state) => named(state, 'loader').restarts === 1);
  });

  it('SV8: says that what was started again is of another build', async () => {
    const build = (id: string): void => {
      mkdirSync(join(folder.path, 'dist'), { recursive: true });
      writeFileSync(join(folder.path, 'dist', 'build.json'), JSON.stringify({ id }));
    };
    build('one');
    running = (await supervisor()).run(stop.signal);
    const before = await untilState(isReady);
    expect(before.processes.map((process) => process.build)).toEqual(['one', 'one']);
    build('two');
    process.kill(named(before, 'loader-2').ref!.pid, 'SIGKILL');
    await untilState((state) => named(state, 'loader-2').build === 'two');
    expect(said.filter((line) => line.startsWith('loader-2 (two) was started again'))).toHaveLength(1);
  });

  it('SV5: ends when its folder is removed', async () => {
    running = (await supervisor()).run(stop.signal);
    const { processes } = await untilState(isReady);
    rmSync(folder.path, { recursive: true });
    await running;
    for (const { ref } of processes) expect(isAlive(ref!)).toBe(false);
  });

  it('SV6: systems that start at the same moment get ports of their own', async () => {
    const folders = ['one', 'other'].map((name) => new LocalFolder(join(folder.path, name)).make());
    const preferredPort = await new PortChooser().choose();
    const services = [{ name: 'loader', instances: 1, preferredPort, main: service }];
    // No server listens before both have chosen.
    const held = join(folder.path, 'held');
    writeFileSync(held, '');
    const supervisors = await Promise.all(folders.map((of) => supervisor({ folder: of, services })));
    running = Promise.all(supervisors.map((each) => each.run(stop.signal))).then(() => undefined);
    await Promise.all(folders.map((of) => untilState(({ ports }) => ports.loader !== undefined, of)));
    rmSync(held);
    const [one, other] = await Promise.all(folders.map((of) => untilState(isReady, of)));
    expect(one!.ports.loader).not.toBe(other!.ports.loader);
    expect([one!.ports.loader, other!.ports.loader]).toContain(preferredPort);
  });

  it('shows what the migration said when it fails, and starts no service', async () => {
    const migrate = ['-e', "process.stderr.write('no such host'); process.exit(3)"];
    running = (await supervisor({ migrate })).run(stop.signal);
    await expect(running).rejects.toThrow(/exit code 3\): no such host/);
    expect(existsSync(join(folder.path, 'notes'))).toBe(false);
  });
});
