import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultPoint } from '#common/faults/fault-point.js';
import { eventually } from './eventually.js';
import type { ProcessName, System } from './system.js';

/** The process that passes the point next is killed or stopped there, and none after it. */
export function armFaultPoint(system: System, point: FaultPoint, action: 'kill' | 'stall'): void {
  writeFileSync(join(system.faultFolder, point), action);
}

/** Waits until a process has met the armed point. @returns which */
export async function faultPointHit(system: System, point: FaultPoint): Promise<ProcessName> {
  const prefix = `${point}.hit-`;
  const hit = await eventually(
    () => readdirSync(system.faultFolder).find((file) => file.startsWith(prefix)),
    `somebody to pass ${point}`,
  );
  return system.nameOf(Number(hit.slice(prefix.length)));
}

/** A point that was armed and not met is met by no process from now on. */
export function disarmFaultPoints(system: System): void {
  for (const file of readdirSync(system.faultFolder)) rmSync(join(system.faultFolder, file));
}
