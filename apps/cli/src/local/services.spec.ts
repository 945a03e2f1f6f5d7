import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { LocalConfig } from './local.config.js';
import { expectHealthy, instanceNames, servicesOf } from './services.js';

describe('services of a system', () => {
  it('are the four of the way, one of each, and as many as the settings say', () => {
    const config = Object.assign(new LocalConfig(), { loaders: 3, trackers: 0 });
    const names = servicesOf(config, '/checkout').flatMap(instanceNames);
    expect(names).toEqual(['ingestor', 'validator', 'loader', 'loader-2', 'loader-3']);
  });
});

describe('asking for health', () => {
  it('tells yes, no with the reason, and silence', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/yes' ? 200 : 503;
      response.end('waiting for Kafka');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(expectHealthy(`${url}/yes`)).resolves.toBeUndefined();
    await expect(expectHealthy(`${url}/no`)).rejects.toThrow(/503: waiting for Kafka/);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    await expect(expectHealthy(`${url}/yes`)).rejects.toThrow(/does not answer/);
  });
});
