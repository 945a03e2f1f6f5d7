import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
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

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
