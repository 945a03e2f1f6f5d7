import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { endProcess, fromPs, isAlive, refOf, startTimeOf } from './process-identity.js';

const children: ChildProcess[] = [];

async function startNode(script: string): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('up'); setInterval(() => {}, 1000)`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child as ChildProcess & { pid: number };
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('process identity', () => {
  it('PI1: knows a process by pid and start time', async () => {
    const child = await startNode('');
    const ref = refOf(child.pid)!;
    expect(isAlive(ref)).toBe(true);
    expect(isAlive({ pid: child.pid, started: 'another start' })).toBe(false);
  });

  it('PI1: never signals a process that merely has the same pid', async () => {
    const child = await startNode('');
    const ended = await endProcess({ pid: child.pid, started: 'another start' }, [
      { signal: 'SIGTERM', waitMs: 5_000 },
    ]);
    expect(ended).toBeNull();
    expect(isAlive(refOf(child.pid)!)).toBe(true);
  });

  it('PI2: a zombie counts as gone', async () => {
    // The shell starts a child and becomes a `sleep`, which never collects it. Its standard
    // output ends then, and the test releases the child.
    const parent = spawn('/bin/sh', ['-c', '(read line <&3) >&- & echo $!; exec sleep 60 >&-'], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    });
    children.push(parent);
    let output = '';
    for await (const chunk of parent.stdout!) output += String(chunk);
    const zombie = Number(output);
    (parent.stdio[3] as Writable).end('\n');
    await eventually(() => startTimeOf(zombie) === null, 'the zombie', 20_000);
    expect(() => process.kill(zombie, 0)).not.toThrow();
    expect(refOf(zombie)).toBeNull();
  });

  it('PI3: ps gives the same facts', async () => {
    const child = await startNode('');
    expect(fromPs(child.pid)).toMatch(/^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}$/);
    expect(fromPs(child.pid)).toBe(fromPs(child.pid));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(fromPs(child.pid)).toBeNull();
  });

  it('goes from step to step, and kills what ignores all of them', async () => {
    const deaf = await startNode("process.on('SIGTERM', () => {}); process.on('SIGINT', () => {})");
    const steps = [{ signal: 'SIGTERM', waitMs: 50 } as const, { signal: 'SIGINT', waitMs: 50 } as const];
    expect(await endProcess(refOf(deaf.pid)!, steps)).toBe('SIGKILL');
    const gentle = await startNode('');
    expect(await endProcess(refOf(gentle.pid)!, [{ signal: 'SIGTERM', waitMs: 60_000 }])).toBe('SIGTERM');
  });
});
