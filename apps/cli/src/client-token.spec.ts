import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { SluiceClient } from './client.js';

describe('the token of the command line', () => {
  let server: Server;
  let url: string;
  let sent: (string | undefined)[];
  let location: string | undefined;

  beforeEach(async () => {
    sent = [];
    location = undefined;
    server = createServer((request, response) => {
      sent.push(request.headers.authorization);
      if (location !== undefined && request.url === '/datasets') response.writeHead(302, { location }).end();
      else response.end('[]');
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => new Promise((closed) => server.close(closed)));

  const client = (more: { token?: string; accessToken?: string }, at = url): SluiceClient =>
    new SluiceClient({ ingestorUrl: at, trackerUrl: at, ...more });

  it('is sent to both services, in the place of the token of the machine', async () => {
    await client({ token: 'machine', accessToken: 'mine' }).datasets();
    await client({ token: 'machine', accessToken: 'mine' }).streams();
    await client({ token: 'machine' }).streams();
    await client({}).streams();
    expect(sent).toEqual(['Bearer mine', 'Bearer mine', 'Bearer machine', undefined]);
  });

  it('does not follow a redirect', async () => {
    location = '/elsewhere';
    await expect(client({ accessToken: 'mine' }).datasets()).rejects.toMatchObject({
      code: 'SYSTEM_UNREACHABLE',
    });
    expect(sent).toEqual(['Bearer mine']);
  });

  it('is not sent by plain HTTP beyond this machine', async () => {
    const far = client({ token: 'machine', accessToken: 'mine' }, 'http://sluice.example');
    await expect(far.datasets()).rejects.toMatchObject({
      code: 'USAGE_INVALID',
      message: expect.stringContaining('http://sluice.example'),
    });
  });

  it('goes to a service whose certificate comes from an authority of its own, once that is named', async () => {
    const caFile = join(await mkdtemp(join(tmpdir(), 'authority-')), 'ca.pem');
    await writeFile(caFile, SELF_SIGNED.cert);
    const secure = createTlsServer(SELF_SIGNED, (request, response) => {
      sent.push(request.headers.authorization);
      response.end('[]');
    });
    await new Promise<void>((listening) => secure.listen(0, '127.0.0.1', listening));
    const at = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
    const services = { ingestorUrl: at, trackerUrl: at, accessToken: 'mine' };
    await expect(new SluiceClient(services).datasets()).rejects.toMatchObject({
      message: expect.stringContaining('SELF_SIGNED'),
    });
    expect(await new SluiceClient({ ...services, caFile }).datasets()).toEqual([]);
    expect(sent).toEqual(['Bearer mine']);
    secure.closeAllConnections();
    await new Promise((closed) => secure.close(closed));
    await rm(dirname(caFile), { recursive: true });
  });
});
