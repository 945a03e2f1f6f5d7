import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectHealthy } from '../../apps/cli/src/local/services.js';
import { type System, startSystem } from '../support/system.js';

/** The services as processes: each of them can be lost and come back, and each of them ends when it is asked to. */
describe('a system of real processes', () => {
  let system: System;
  const services = ['ingestor', 'validator', 'validator-2', 'loader', 'tracker'];
  beforeAll(async () => {
    system = await startSystem({ validators: 2 });
  });
  afterAll(() => system.stop());

  it.each(services)('%s is live, ready and measured', async (name) => {
    for (const page of ['health/live', 'health/ready', 'metrics']) await expectHealthy(`${system.urlOf(name)}/${page}`);
  });

  it.each(services)('%s comes back after kill -9', async (name) => {
    const before = system.pidOf(name);
    await system.kill(name);
    expect(system.isRunning(name)).toBe(false);
    await system.restart(name);
    expect(system.pidOf(name)).not.toBe(before);
  });

  it.each(services)('%s drains on SIGTERM and says so', async (name) => {
    await system.kill(name, 'SIGTERM');
    expect(system.logsOf(name)).toContain('"msg":"drained"');
    await system.restart(name);
  });
});
