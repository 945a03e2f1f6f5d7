import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
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
});
