import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { expectHealthy } from '#local/services.js';
import { type System, startSystem } from '../support/system.js';

/** The services as processes: all of them can be lost and come back, and each of them ends when it is asked to. */
describe('a system of real processes', () => {
  let system: System;
  const services = ['ingestor', 'validator', 'validator-2', 'loader', 'tracker'];
  const all = async (work: (name: string) => Promise<void>): Promise<void> => {
    await Promise.all(services.map(work));
  };
  beforeAll(async () => {
    system = await startSystem({ validators: 2 });
  });
  afterAll(() => system.stop());

  it('is live, ready and measured', async () => {
    await all(async (name) => {
      for (const page of ['health/live', 'health/ready', 'metrics'])
        await expectHealthy(`${system.urlOf(name)}/${page}`);
    });
  });

  it('comes back after kill -9 of all of it', async () => {
    const before = services.map((name) => system.pidOf(name));
    await all((name) => system.kill(name));
    expect(services.filter((name) => system.isRunning(name))).toEqual([]);
    await all((name) => system.restart(name));
    expect(services.map((name) => system.pidOf(name))).not.toEqual(before);
  });

  it('drains on SIGTERM and says so', async () => {
    await all(async (name) => {
      await system.kill(name, 'SIGTERM');
      expect(system.logsOf(name)).toContain('"msg":"drained"');
    });
  });
});
