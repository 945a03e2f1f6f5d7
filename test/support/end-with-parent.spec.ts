import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** The guard of test servers: what it is asked to watch ends when its standard input does. */
describe('end-with-parent', () => {
  let guard: ChildProcess;
  let folder: string;
  const servers: ChildProcess[] = [];
  beforeEach(() => {
    guard = spawn(process.execPath, [join(import.meta.dirname, 'end-with-parent.js')], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    folder = mkdtempSync(join(tmpdir(), 'sluice-guard-'));
  });
  afterEach(() => {
    guard.kill('SIGKILL');
    for (const server of servers.splice(0)) server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  function startServer(): ChildProcess & { pid: number } {
    const server = spawn('sleep', ['600'], { stdio: 'ignore' });
    servers.push(server);
    return server as ChildProcess & { pid: number };
  }

  function tell(...lines: object[]): void {
    for (const line of lines) guard.stdin!.write(`${JSON.stringify(line)}\n`);
  }

  async function parentGoes(): Promise<void> {
    guard.stdin!.end();
    await once(guard, 'exit');
  }

  it('ends the watched processes by their signal and removes the folders', async () => {
    const server = startServer();
    const ended = once(server, 'exit');
    tell({ watch: server.pid, signal: 'SIGQUIT' }, { remove: folder });
    await parentGoes();
    expect((await ended)[1]).toBe('SIGQUIT');
    expect(existsSync(folder)).toBe(false);
  });

  it('leaves alone what it was asked to forget', async () => {
    const server = startServer();
    tell(
      { watch: server.pid, signal: 'SIGTERM' },
      { unwatch: server.pid },
      { remove: folder },
      { keep: folder },
    );
    await parentGoes();
    expect(server.exitCode ?? server.signalCode).toBeNull();
    expect(existsSync(folder)).toBe(true);
  });
});
