import { once } from 'node:events';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { PortChooser, isPortFree } from './free-ports.js';

const servers: Server[] = [];

async function occupy(host: string): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe('ports', () => {
  it.each(['127.0.0.1', '0.0.0.0'])('a port that another process has on %s is not free', async (host) => {
    expect(await isPortFree(await occupy(host))).toBe(false);
  });

  it('a port that a client connects from is not free, although no server answers there', async () => {
    const caller = connect({ host: '127.0.0.1', port: await occupy('127.0.0.1') });
    try {
      await once(caller, 'connect');
      expect(await isPortFree(caller.localPort!)).toBe(false);
    } finally {
      caller.destroy();
    }
  });

  it('takes the first preferred port that is free', async () => {
    const taken = await occupy('127.0.0.1');
    const ports = new PortChooser();
    const free = await ports.choose();
    expect(await new PortChooser().choose(undefined, taken, free)).toBe(free);
  });

  it('replaces a taken port by another one', async () => {
    const taken = await occupy('127.0.0.1');
    expect(await new PortChooser().choose(taken)).not.toBe(taken);
  });

  it('never hands out a port twice', async () => {
    const ports = new PortChooser();
    const first = await ports.choose();
    expect(await ports.choose(first)).not.toBe(first);
  });

  it('keeps what it reserves from others that reserve, although no server listens there yet, until it releases', async () => {
    const one = new PortChooser({ reserves: true });
    const other = new PortChooser({ reserves: true });
    try {
      const port = await one.choose();
      expect(await other.choose(port)).not.toBe(port);
      one.release();
      expect(await other.choose(port)).toBe(port);
    } finally {
      one.release();
      other.release();
    }
  });

  it('does not keep reserving a port that turns out to be taken', async () => {
    const taken = await occupy('127.0.0.1');
    const one = new PortChooser({ reserves: true });
    const other = new PortChooser({ reserves: true });
    try {
      await one.choose(taken);
      const server = servers.pop()!;
      server.close();
      await once(server, 'close');
      expect(await other.choose(taken)).toBe(taken);
    } finally {
      one.release();
      other.release();
    }
  });
});
