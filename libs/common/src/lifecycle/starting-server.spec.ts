import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import type { SluiceError } from '../errors/sluice-error.js';
import { serveWhileStarting } from './starting-server.js';

it('a service that is being built is live and not ready, and frees its port afterwards', async () => {
  const port = await freePort();
  const end = await serveWhileStarting(port, '127.0.0.1');
  try {
    const live = await fetch(`http://127.0.0.1:${port}/health/live`);
    expect([live.status, await live.json()]).toEqual([
      200,
      { status: 'ok', problems: [], pid: process.pid, build: null },
    ]);
    const ready = await fetch(`http://127.0.0.1:${port}/health/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([503, { status: 'not ok' }]);
  } finally {
    await end();
  }
  await (
    await serveWhileStarting(port, '127.0.0.1')
  )();
});

it.each([null, SELF_SIGNED])('a silent connection does not hold up the start (%#)', async (tls) => {
  const port = await freePort();
  const end = await serveWhileStarting(port, '127.0.0.1', { tls: () => tls, handshakeMs: 60_000 });
  const silent = connect(port, '127.0.0.1');
  silent.on('error', () => undefined).resume();
  await once(silent, 'connect');
  // One that came later was answered: the server has seen the silent one.
  await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined);
  const closed = once(silent, 'close', { signal: AbortSignal.timeout(30_000) });
  const ended = end();
  await closed;
  await ended;
});

it('a service whose port is taken says so, and what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    const error: unknown = await serveWhileStarting(port, '127.0.0.1').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PORT_UNAVAILABLE' });
    expect((error as SluiceError).message).toContain(`127.0.0.1:${port}`);
    expect((error as SluiceError).message).toContain('EADDRINUSE');
    expect((error as SluiceError).action).toContain('SLUICE_PORT');
  } finally {
    other.close();
    await once(other, 'close');
  }
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
