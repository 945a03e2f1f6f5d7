import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CheckoutSystem } from './checkout-system.js';
import { LocalFolder } from './folders.js';
import { refOf } from './process-identity.js';
import { takeLock } from './supervisor-lock.js';
import { type ProcessState, type SystemState, emptyState, writeState } from './system-state.js';

/** What the commands say of a system whose supervisor is this very process: it lives, and does nothing. */
describe('CheckoutSystem', () => {
  let folder: LocalFolder;
  let unlock: () => void;
  const before = { ...process.env };

  beforeEach(() => {
    const path = mkdtempSync(join(tmpdir(), 'sluice-checkout-'));
    chmodSync(path, 0o755);
    folder = new LocalFolder(path).make();
    unlock = takeLock(folder.lock);
    process.env['SLUICE_LOCAL_FOLDER'] = path;
    process.env['KAFKA_BROKERS'] = '127.0.0.1:1';
    process.env['DATABASE_URL'] = 'postgres://127.0.0.1:1/none';
    process.env['SLUICE_READY_TIMEOUT_MS'] = '1000';
  });
  afterEach(() => {
    unlock();
    rmSync(folder.path, { recursive: true, force: true });
    process.env = { ...before };
  });

  const server = (name: string, facts: Partial<ProcessState> = {}): ProcessState => ({
    ...{ name, phase: 'ready', ref: refOf(process.pid), port: 1, restarts: 0, problem: null, build: null },
    ...{ logFile: folder.logOf(name), stopSteps: [], ...facts },
  });
  const put = (facts: Partial<SystemState>): void => {
    writeState(folder.state, { ...emptyState('run', {}), phase: 'ready', ...facts });
  };
  const up = (signal = new AbortController().signal): Promise<unknown> =>
    new CheckoutSystem(200).up({ foreground: false, say: () => undefined, signal });

  it.each([
    ['is missing', null],
    ['cannot be read', '{"x":'],
  ])('status does not take a system for ready whose state %s, and up ends', async (_, content) => {
    if (content !== null) writeFileSync(folder.state, content);
    const { processes, isReady } = await new CheckoutSystem().status();
    expect(processes).toMatchObject([{ name: 'supervisor', state: 'unknown' }]);
    expect(isReady).toBe(false);
    await expect(up()).rejects.toMatchObject({ code: 'LOCAL_START_FAILED' });
  });

  it('up detaches at once when its signal is aborted, whatever it waits for', async () => {
    writeFileSync(folder.state, '{"x":');
    const stop = new AbortController();
    stop.abort();
    await expect(up(stop.signal)).resolves.toBeDefined();
    put({ phase: 'stopping' });
    await expect(up(stop.signal)).resolves.toBeDefined();
  });

  it('starts its own servers although the shell still names those of the system before', async () => {
    put({ ports: { kafka: 20_001, postgres: 20_002 } });
    const needed = async (): Promise<string[]> =>
      (await new CheckoutSystem().doctor()).map(({ name }) => name);
    expect(await needed()).not.toContain('Kafka');
    process.env['KAFKA_BROKERS'] = '127.0.0.1:20001';
    process.env['DATABASE_URL'] = 'postgres://sluice:secret@127.0.0.1:20002/sluice';
    expect(await needed()).toEqual(expect.arrayContaining(['Kafka', 'PostgreSQL']));
  });

  it('status is ready only when everything planned is listed and ready', async () => {
    put({ planned: ['kafka', 'postgres'], processes: [server('kafka'), server('postgres')] });
    expect(await new CheckoutSystem().status()).toMatchObject({ isReady: true, troubles: [] });
    put({ planned: ['kafka', 'loader'], processes: [server('kafka')] });
    expect(await new CheckoutSystem().status()).toMatchObject({
      isReady: false,
      troubles: ['loader is not started'],
    });
    put({ phase: 'starting', planned: ['kafka'], processes: [server('kafka')] });
    expect((await new CheckoutSystem().status()).isReady).toBe(false);
  });

  it.each([
    [
      'has failed',
      { phase: 'failed', problem: 'exit code 78', ref: null },
      /loader is failed \(exit code 78\)/,
    ],
    [
      'waits to be tried again',
      { phase: 'waiting', problem: 'tried every 15 s', ref: null },
      /tried every 15 s/,
    ],
    [
      'has ended',
      { ref: { pid: process.pid, started: 'another' } },
      /loader has ended: see `sluice logs loader`/,
    ],
    ['does not answer', { port: 1 }, /loader is not ready \(http/],
  ] as const)('up does not call it running when a service %s', async (_, facts, text) => {
    put({ planned: ['loader'], processes: [server('loader', facts)] });
    await expect(up()).rejects.toMatchObject({
      code: 'SYSTEM_UNREACHABLE',
      message: expect.stringMatching(text),
    });
  });
});
