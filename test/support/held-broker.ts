import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** A listener before a Kafka broker that takes connections and answers nothing, until it is released. */
export interface HeldBroker {
  /** `host:port`, to begin with: brokers name their own addresses to clients. */
  readonly address: string;
  /** How many clients have closed a connection before it was released. */
  readonly givenUp: number;
  release(): void;
  close(): Promise<void>;
}

/** @param broker `host:port` */
export async function startHeldBroker(broker: string): Promise<HeldBroker> {
  const [host = '', port = ''] = broker.split(':');
  /** With what they have sent. */
  const held = new Map<Socket, Buffer[]>();
  const sockets = new Set<Socket>();
  let isReleased = false;
  let givenUp = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const pass = (client: Socket, sent: readonly Buffer[]): void => {
    const server = connect(Number(port), host);
    keep(server);
    for (const chunk of sent) server.write(chunk);
    client.removeAllListeners('data');
    client.pipe(server).pipe(client);
  };
  const listener = createServer((client) => {
    keep(client);
    if (isReleased) {
      pass(client, []);
      return;
    }
    const sent: Buffer[] = [];
    held.set(client, sent);
    client.on('data', (chunk) => sent.push(chunk));
    client.on('close', () => {
      if (held.delete(client)) givenUp += 1;
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get givenUp() {
      return givenUp;
    },
    release: () => {
      isReleased = true;
      for (const [client, sent] of held) pass(client, sent);
      held.clear();
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => {
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}
