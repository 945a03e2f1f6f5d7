/** The services as processes: all of them can be lost and come back, and each of them ends when it is asked to. */
import { beforeAll, expect, it } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { expectHealthy } from '#local/services.js';
import { runToEnd } from '#local/start-process.js';
import { eventually } from '../../support/eventually.js';
import { query } from '../../support/expect-tables.js';
import { clientOf, jobEnd } from '../../support/run-job.js';
import { fileOf, rows } from '../../support/small-file.js';
import { startSourceServer } from '../../support/source-server.js';
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

  it('loses nothing while its processes may open no more files, and continues when they may', async () => {
    // Only Linux changes the limit of a process that runs.
    if (process.platform !== 'linux') return;
    await query(system, 'TRUNCATE tax_registration CASCADE');
    const limited = services.filter((name) => !name.startsWith('ingestor'));
    for (const name of limited) await limitFiles(system.pidOf(name), openFilesOf(system.pidOf(name)));
    const { port, close } = await startSourceServer((_request, response) => {
      response.end(fileOf(...rows(50)));
    });
    try {
      const request = { dataset: 'tax-registration', source: `http://127.0.0.1:${port}/`, allowShrink: true };
      const { id } = await clientOf(system).startJob(request);
      const ready = async (name: string): Promise<boolean> =>
        (await fetch(`${system.urlOf(name)}/health/ready`).catch(() => null))?.ok === true;
      await eventually(
        async () =>
          (await clientOf(system).job(id)).state === 'succeeded' ||
          !(await Promise.all(limited.map(ready))).every(Boolean),
        'the job to succeed, or a service to say that it waits',
      );
      for (const name of limited) await limitFiles(system.pidOf(name), 4_096);
      expect(await jobEnd(system, id)).toMatchObject({
        state: 'succeeded',
        counts: { loaded: 50, refused: 0 },
      });
    } finally {
      await close();
    }
    expect(services.filter((name) => !system.isRunning(name))).toEqual([]);
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

function openFilesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function limitFiles(pid: number, most: number): Promise<void> {
  const { code, stderr } = await runToEnd('prlimit', ['--pid', String(pid), `--nofile=${most}:4096`], {});
  if (code !== 0) throw new TypeError(`prlimit: ${stderr}`);
}
