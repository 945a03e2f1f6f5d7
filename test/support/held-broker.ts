import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** A listener before a Kafka broker that takes connections and answers nothing, until it is released. */
export interface HeldBroker {
  /** `host:port`, to begin with: brokers name their own addresses to clients. */
  readonly address: string;
  release(): void;
  close(): Promise<void>;
}

/** @param broker `host:port` */
export async function startHeldBroker(broker: string): Promise<HeldBroker> {
  const [host = '', port = ''] = broker.split(':');
  const held = new Set<Socket>();
  const open = new Set<Socket>();
  let isReleased = false;
  const pass = (client: Socket): void => {
    const server = connect(Number(port), host);
    for (const socket of [client, server]) {
      open.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => open.delete(socket));
    }
    client.pipe(server).pipe(client);
  };
  const listener = createServer({ pauseOnConnect: true }, (client) => {
    if (isReleased) pass(client);
    else held.add(client.on('error', () => client.destroy()));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    release: () => {
      isReleased = true;
      for (const client of held) pass(client);
      held.clear();
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => {
          resolve();
        });
        for (const socket of [...held, ...open]) socket.destroy();
      }),
  };
}
