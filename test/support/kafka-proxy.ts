import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/**
 * A TCP proxy before a Kafka broker that can lose the broker's answer to a produce request: the messages are in
 * their topics, and their sender never hears of it.
 *
 * Kafka's protocol (kafka.apache.org/protocol): a frame is its length in four bytes and then that number of bytes. A request
 * begins with api key (int16, 0 = Produce), api version (int16), correlation id (int32) and client id (int16 length,
 * bytes); its response begins with the same correlation id.
 */
export interface KafkaProxy {
  readonly port: number;
  /**
   * Swallows the next `times` answers to what clients whose id begins with `client` send to a topic ('': to any), and
   * cuts each one's connection.
   */
  loseProduceResponses(client: string, topic: string, times: number): void;
  /** How many are still to be lost. */
  readonly toLose: number;
  close(): Promise<void>;
}

const PRODUCE = 0;

/** @param brokerPort may be without a listener as yet */
export async function startKafkaProxy(brokerPort: number): Promise<KafkaProxy> {
  let armed = { client: '', topic: '', times: 0 };
  const sockets = new Set<Socket>();
  const isToBeLost = (request: Buffer): boolean => {
    if (armed.times === 0 || request.readInt16BE(4) !== PRODUCE) return false;
    const clientLength = Math.max(0, request.readInt16BE(12));
    if (!request.toString('utf8', 14, 14 + clientLength).startsWith(armed.client)) return false;
    if (!request.includes(armed.topic)) return false;
    armed.times -= 1;
    return true;
  };
  const server = createServer((client) => {
    const broker = connect(brokerPort, '127.0.0.1');
    const lost = new Set<number>();
    const cut = (): void => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on(
      'data',
      framesOf((frame) => {
        if (isToBeLost(frame)) lost.add(frame.readInt32BE(8));
        broker.write(frame);
      }),
    );
    broker.on(
      'data',
      framesOf((frame) => {
        if (lost.has(frame.readInt32BE(4))) cut();
        else client.write(frame);
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    loseProduceResponses: (client, topic, times) => {
      armed = { client, topic, times };
    },
    get toLose() {
      return armed.times;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** @returns a listener for chunks, which hands over each frame, its length included, when it is whole */
function framesOf(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 4) {
      const end = 4 + pending.readInt32BE(0);
      if (pending.length < end) return;
      onFrame(pending.subarray(0, end));
      pending = pending.subarray(end);
    }
  };
}
