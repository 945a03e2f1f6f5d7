/** The services as processes: all of them can be lost and come back, and each of them ends when it is asked to. */
import { beforeAll, expect, it } from '@jest/globals';
import { expectHealthy } from '#local/services.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

/** None of the services runs afterwards. */
export const processes = scenario('a system of real processes', {}, (running) => {
  let system: System;
  let services: readonly string[];

  beforeAll(() => {
    system = running();
    services = system.services;
  });

  const all = async (work: (name: string) => Promise<void>): Promise<void> => {
    await Promise.all(services.map(work));
  };

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
      const { length } = system.logsOf(name);
      await system.kill(name, 'SIGTERM');
      expect(system.logsOf(name).slice(length)).toContain('"msg":"drained"');
    });
  });
});
