import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { LocalConfig } from './local.config.js';
import { refOf } from './process-identity.js';
import { expectHealthy, instanceNames, planService, servicesOf } from './services.js';

describe('services of a system', () => {
  it('are the four of the pipeline, one of each, and as many as the settings say', () => {
    const config = Object.assign(new LocalConfig(), { loaders: 3, trackers: 0 });
    const names = servicesOf(config, '/checkout').flatMap(instanceNames);
    expect(names).toEqual(['ingestor', 'validator', 'loader', 'loader-2', 'loader-3']);
  });

  it('are ready only when they answer themselves, not when another program answers at their port', async () => {
    let answer = JSON.stringify({ status: 'ok', problems: [], pid: process.pid });
    const server = createServer((_, response) => {
      response.end(answer);
    }).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const facts = { name: 'loader', main: '', logFile: '', cwd: '', drainTimeoutMs: 0, env: {} };
      const { probe } = planService({ ...facts, port });
      const ours = refOf(process.pid)!;
      await expect(probe(ours)).resolves.toBeUndefined();
      for (const other of [JSON.stringify({ status: 'ok', pid: process.ppid }), 'Welcome!', 'null', '']) {
        answer = other;
        await expect(probe(ours)).rejects.toThrow(/answered by another process/);
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('asking for health', () => {
  it('distinguishes yes, no with the reason, and silence', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/yes' ? 200 : 503;
      const problems = ['the database does not answer: ECONNREFUSED', 'it waits'];
      const ours = JSON.stringify({ status: 'not ok', problems, pid: 7, build: 'abc' });
      response.end(request.url === '/ours' ? ours : 'waiting for Kafka');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await expect(expectHealthy(`${url}/yes`)).resolves.toBe('waiting for Kafka');
      await expect(expectHealthy(`${url}/no`)).rejects.toThrow(/503: waiting for Kafka/);
      await expect(expectHealthy(`${url}/ours`)).rejects.toThrow(
        new RegExp('/ours says 503: the database does not answer: ECONNREFUSED; it waits$'),
      );
    } finally {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
    await expect(expectHealthy(`${url}/yes`)).rejects.toThrow(/does not answer/);
  });
});
