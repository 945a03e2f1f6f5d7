import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Kafka } from 'kafkajs';
import { ServingHarness } from '#test/support/batch-serving.js';
import { eventually } from '#test/support/eventually.js';

const JOIN_GROUP = 11;
const LEAVE_GROUP = 13;

describe('a BatchServer that is closed while it joins its group, on real Kafka', () => {
  let harness: ServingHarness;
  let coordinator: LateCoordinator;
  let deliveries: number;

  beforeAll(async () => {
    harness = await ServingHarness.start();
  });

  afterAll(() => harness.stop());

  beforeEach(async () => {
    await harness.begin();
    // A coordinator that still loads the group refuses to let anyone join, which ends the run that is to be seen here.
    const server = await harness.startServer();
    await eventually(() => server.health.notReady().length === 0, 'the coordinator to know the group');
    await harness.closeServer();
    coordinator = new LateCoordinator(harness.brokers);
    deliveries = 0;
    harness.onDelivery = () => {
      deliveries += 1;
      return Promise.resolve();
    };
    await harness.send(0, 'a');
  });

  afterEach(() => harness.closeServers());

  it('waits for the join, and leaves the group again (BS8)', async () => {
    // A coordinator that has just started answers late: closing waits a third of the session.
    const starting = harness.startServer(100, { kafka: coordinator.kafka, sessionTimeoutMs: 120_000 });
    await eventually(() => coordinator.isHeld, 'the join to be under way');
    const closing = harness.closeServer();
    coordinator.letGo();
    await closing;
    await starting;
    expect(coordinator.requests.at(-1)).toBe(LEAVE_GROUP);
    expect(await harness.groupMembers()).toBe(0);
    expect(deliveries).toBe(0);
  });

  it('cuts off a join that takes too long, which does not become a run (BS8)', async () => {
    const starting = harness.startServer(100, { kafka: coordinator.kafka, sessionTimeoutMs: 6_000 });
    await eventually(() => coordinator.isHeld, 'the join to be under way');
    await harness.closeServer();
    coordinator.letGo();
    const server = await starting;
    // A run would stay in the group; the broker misses a cut-off member after its session timeout.
    await eventually(async () => (await harness.groupMembers()) === 0, 'the group to be empty');
    expect(server.health.notReady()).toContain('not a member of the consumer group yet');
    expect(deliveries).toBe(0);
  });
});

/** A client whose requests to join a group are held back. */
class LateCoordinator {
  /** Kinds of the requests to the group's coordinator that matter here, in their order. */
  readonly requests: number[] = [];
  isHeld = false;
  letGo: () => void = () => undefined;
  readonly kafka: Kafka;

  constructor(brokers: readonly string[]) {
    this.kafka = new kafkajs.Kafka({
      brokers: [...brokers],
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: ({ host, port, onConnect }) => {
        const socket = connect({ host, port }, onConnect);
        const write: (data: Buffer) => boolean = socket.write.bind(socket);
        socket.write = (data: unknown): boolean => {
          // A request begins with its length and the key of its kind.
          const kind = (data as Buffer).readInt16BE(4);
          if (kind === JOIN_GROUP || kind === LEAVE_GROUP) this.requests.push(kind);
          if (kind !== JOIN_GROUP || this.isHeld) return write(data as Buffer);
          this.isHeld = true;
          this.letGo = () => {
            write(data as Buffer);
          };
          return true;
        };
        return socket;
      },
    });
  }
}
