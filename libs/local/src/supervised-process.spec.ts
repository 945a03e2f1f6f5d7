import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { type ProcessRef, isAlive } from './process-identity.js';
import type { ProcessPlan } from './process-plan.js';
import { RestartBudget } from './restart-budget.js';
import { planService } from './services.js';
import { SupervisedProcess } from './supervised-process.js';

describe('SupervisedProcess', () => {
  let folder: string;
  let supervised: SupervisedProcess | undefined;
  const phases: string[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-process-'));
    phases.length = 0;
  });
  afterEach(async () => {
    await supervised?.stop();
    rmSync(folder, { recursive: true });
  });

  function supervise(
    script: string,
    plan: Partial<ProcessPlan> = {},
    options: { livenessEveryMs?: number; readyTimeoutMs?: number; longWaitMs?: number } = {},
  ): SupervisedProcess {
    const created: SupervisedProcess = new SupervisedProcess(
      {
        name: 'service',
        command: process.execPath,
        args: ['-e', script],
        cwd: folder,
        port: 0,
        logFile: join(folder, 'service.log'),
        probe: () => Promise.resolve(),
        stopSteps: [{ signal: 'SIGTERM', waitMs: 10_000 }],
        ...plan,
      },
      {
        readyTimeoutMs: 20_000,
        logger: pino({ level: 'silent' }),
        onChange: () => {
          phases.push(created.state.phase);
        },
        say: (line) => {
          appendFileSync(join(folder, 'said'), `${line}\n`);
        },
        budget: new RestartBudget({ mostRestarts: 2, windowMs: 60_000, firstDelayMs: 1 }),
        ...options,
      },
    );
    supervised = created;
    return created;
  }

  const notReady = { probe: () => Promise.reject(new Error('not yet')) };

  it('SP1: is started again as often as its budget allows, then stays down and says so', async () => {
    const service = supervise("console.log('my last words'); process.exit(70)", notReady);
    await expect(service.start()).rejects.toThrow(
      /stays down after 2 restarts within 60 s \(last: exit code 70\)[^]*my last words/,
    );
    expect(phases).toEqual(['starting', 'waiting', 'starting', 'waiting', 'starting', 'failed']);
    expect(service.state).toMatchObject({ phase: 'failed', restarts: 2, ref: null });
    expect(readFileSync(join(folder, 'said'), 'utf8').trim().split('\n')).toHaveLength(3);
  });

  it('SP1: once it has worked it is never given up, and the wait between two tries is declared', async () => {
    const script = "if (require('fs').existsSync('crash')) process.exit(70); setInterval(() => {}, 1000)";
    const service = supervise(script, {}, { longWaitMs: 20 });
    await service.start();
    writeFileSync(join(folder, 'crash'), '');
    process.kill(service.state.ref!.pid, 'SIGKILL');
    await eventually(() => service.state.restarts > 4, 'more restarts than the budget has', 20_000);
    expect(phases).not.toContain('failed');
    const said = readFileSync(join(folder, 'said'), 'utf8');
    expect(said.match(/is tried every 0.02 s/g)).toHaveLength(1);
    rmSync(join(folder, 'crash'));
    await eventually(() => service.state.phase === 'ready', 'that it works again', 20_000);
    expect(service.state.problem).toBeNull();
  });

  it('quotes what this start has logged, not what an earlier one did', async () => {
    writeFileSync(join(folder, 'service.log'), 'complaint of an earlier start\n');
    const service = supervise("console.log('my last words'); process.exit(78)", notReady);
    const message = await service.start().then(
      () => '',
      (error: unknown) => (error as Error).message,
    );
    expect(message).toContain('my last words');
    expect(message).not.toContain('complaint of an earlier start');
  });

  it('SP2: wrong settings are not tried twice', async () => {
    await expect(supervise('process.exit(78)', notReady).start()).rejects.toThrow(/exit code 78/);
    expect(phases).toEqual(['starting', 'failed']);
  });

  it('SP3: is killed and started again when it is no longer live', async () => {
    let stalled: ProcessRef | null = null;
    const liveness = (): Promise<void> =>
      supervised?.state.ref === stalled ? Promise.reject(new Error('stalled')) : Promise.resolve();
    await supervise('setInterval(() => {}, 1000)', { liveness }, { livenessEveryMs: 5 }).start();
    stalled = supervised!.state.ref;
    await eventually(
      () => supervised!.state.restarts === 1 && supervised!.state.phase === 'ready',
      'the next one',
      20_000,
    );
    expect(supervised!.state.ref).not.toEqual(stalled);
    expect(readFileSync(join(folder, 'said'), 'utf8')).toContain('service ended (signal SIGKILL)');
  });

  it('SP3: one or two silent moments are forgiven', async () => {
    let asked = 0;
    const liveness = (): Promise<void> =>
      asked++ % 3 === 2 ? Promise.resolve() : Promise.reject(new Error('busy'));
    await supervise('setInterval(() => {}, 1000)', { liveness }, { livenessEveryMs: 5 }).start();
    await eventually(() => asked >= 12, 'twelve questions', 20_000);
    expect(phases).toEqual(['starting', 'ready']);
  });

  it('SP5: is not ready when another program has its port and answers there; its log says why', async () => {
    const other = createServer((_, response) => {
      response.end(JSON.stringify({ status: 'ok', problems: [], pid: process.pid }));
    }).listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const facts = { name: 'service', main: '', logFile: '', cwd: '', drainTimeoutMs: 0, env: {} };
      const { probe } = planService({ ...facts, port });
      const service = supervise(`require('node:http').createServer().listen(${port}, '127.0.0.1')`, {
        probe,
      });
      await expect(service.start()).rejects.toThrow(/stays down[^]*EADDRINUSE/);
      expect(phases).not.toContain('ready');
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });

  it('SP5: is not ready when it has ended, whatever answers', async () => {
    const probe = async (ref: ProcessRef): Promise<void> => {
      await eventually(() => !isAlive(ref), 'the end of the process', 20_000);
    };
    await expect(supervise('process.exit(70)', { probe }).start()).rejects.toThrow(/stays down/);
    expect(phases).not.toContain('ready');
  });

  it('says why it is not ready in time', async () => {
    const probe = (): Promise<void> => Promise.reject(new Error('waiting for Kafka'));
    const service = supervise('setInterval(() => {}, 1000)', { probe }, { readyTimeoutMs: 200 });
    await expect(service.start()).rejects.toThrow(/service was not ready after 0.2 s \(waiting for Kafka\)/);
  });
});
