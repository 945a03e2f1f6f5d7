import { Socket } from 'node:net';
import type { TestKafka } from './kafka.js';

/** The sockets of this process that are open to the brokers. */
export function socketsTo({ brokers }: Pick<TestKafka, 'brokers'>): Socket[] {
  const ports = new Set(brokers.map((each) => Number(each.split(':').at(-1))));
  // Node has no other list of them.
  const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles: () => unknown[] };
  return handles
    .call(process)
    .filter((handle): handle is Socket => handle instanceof Socket)
    .filter(({ remotePort }) => remotePort !== undefined && ports.has(remotePort));
}
