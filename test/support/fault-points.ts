import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultPoint } from '#common/faults/fault-point.js';
import { eventually } from './eventually.js';
import type { ProcessName, System } from './system.js';

/** Whoever passes the point next, and nobody after it, is killed or stopped there. */
export function armFaultPoint(system: System, point: FaultPoint, action: 'kill' | 'stall'): void {
  writeFileSync(join(system.faultFolder, point), action);
}

/** Waits until somebody has met the armed point. @returns who */
export async function faultPointHit(system: System, point: FaultPoint): Promise<ProcessName> {
  const prefix = `${point}.hit-`;
  const hit = await eventually(
    () => readdirSync(system.faultFolder).find((file) => file.startsWith(prefix)),
    `somebody to pass ${point}`,
  );
  return system.nameOf(Number(hit.slice(prefix.length)));
}

/** What was armed and not met is met by nobody any more. */
export function disarmFaultPoints(system: System): void {
  for (const file of readdirSync(system.faultFolder)) rmSync(join(system.faultFolder, file));
}
