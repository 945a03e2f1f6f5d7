import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import pg from 'pg';

/**
 * A pooler before PostgreSQL that shares a few server connections by the transaction, as pgbouncer does with
 * `pool_mode = transaction`; no package registry that npm can ask has pgbouncer itself.
 *
 * - TP1: a client holds a server connection from its first message to the ReadyForQuery that says that no transaction
 *   is open, and none in between. A client that leaves within a transaction takes its server connection along.
 * - TP2: the server connection that has rested longest is given away next, so the statements of one client reach one
 *   after the other: what a session keeps (settings, locks, temporary tables) is lost to it and met by others.
 *   pgbouncer's order is kinder to a pool that is nearly idle.
 * - TP3: start-up parameters that pgbouncer refuses are refused, and the numbers for cancelling are not the server's.
 * - TP4: the few settings that the server reports by itself are kept for each client, as pgbouncer keeps them, and set
 *   on a server connection that it is given; no others are.
 *
 * The protocol (postgresql.org/docs, "Message Formats"): a type in one byte, then the length in four, which counts
 * itself. The first message of a client has no type.
 */
export interface TransactionPooler {
  readonly url: string;
  readonly serverConnections: number;
  /** How often a server connection was given to a client. */
  readonly given: number;
  stop(): Promise<void>;
}

/** Of a URL whose user and password all server connections have, whatever clients name. */
export async function startTransactionPooler(
  url: string,
  serverConnections: number,
): Promise<TransactionPooler> {
  const backends = new Backends(url, serverConnections);
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    new PooledClient(socket, backends);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const pooled = new URL(url);
  pooled.port = String((server.address() as AddressInfo).port);
  return {
    url: pooled.href,
    serverConnections,
    get given() {
      return backends.given;
    },
    stop: async () => {
      for (const socket of clients) socket.destroy();
      await closed(server);
      backends.end();
    },
  };
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
/** What pgbouncer takes without `ignore_startup_parameters`. */
const STARTUP_PARAMETERS = [
  'user',
  'database',
  'client_encoding',
  'datestyle',
  'timezone',
  'standard_conforming_strings',
  'application_name',
];
/** TP4. What the server reports when it changes, whichever session changes it. */
const TRACKED = [
  'client_encoding',
  'DateStyle',
  'TimeZone',
  'standard_conforming_strings',
  'application_name',
];
/** Of the client: Query, Sync and FunctionCall are each answered by one ReadyForQuery. */
const ANSWERED = 'QSF';
/** Of the client, within COPY: what still comes after the server has ended it is dropped, as the server drops it. */
const COPY_MESSAGES = 'dcf';

class PooledClient {
  private backend: Backend | null = null;
  private waiting: Buffer[] = [];
  private isAsking = false;
  private answersDue = 0;
  /** A message of the extended protocol was sent, and no Sync after it. */
  private isUnsynced = false;
  private hasBegun = false;
  /** TP4. */
  private readonly settings = new Map<string, string>();

  constructor(
    private readonly socket: Socket,
    private readonly backends: Backends,
  ) {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.backend?.socket.destroy();
    });
    const startup = messagesOf(0, (message) => {
      this.begin(message);
    });
    const later = messagesOf(1, (message) => {
      this.take(message);
    });
    // A client waits for the answer to its start-up before it says more.
    socket.on('data', (chunk: Buffer) => {
      (this.hasBegun ? later : startup)(chunk);
    });
  }

  private begin(message: Buffer): void {
    const code = message.readInt32BE(4);
    if (code === SSL_REQUEST || code === GSS_REQUEST) this.socket.write('N');
    else if (code === CANCEL_REQUEST) this.socket.destroy();
    else void this.welcome(message.toString('utf8', 8).split('\0'));
  }

  private async welcome(parameters: readonly string[]): Promise<void> {
    const refused = parameters.find(
      (name, index) => index % 2 === 0 && name !== '' && !STARTUP_PARAMETERS.includes(name.toLowerCase()),
    );
    if (refused !== undefined) {
      const fields = ['SFATAL', 'C08P01', `Munsupported startup parameter: ${refused}`, '', ''].join('\0');
      this.socket.end(messageOf('E', Buffer.from(fields)));
      return;
    }
    const reports = await this.backends.reports();
    for (const name of TRACKED) {
      const at = parameters.findIndex(
        (one, index) => index % 2 === 0 && one.toLowerCase() === name.toLowerCase(),
      );
      const value = at < 0 ? reports[name] : parameters[at + 1];
      if (value !== undefined) this.settings.set(name, value);
    }
    this.hasBegun = true;
    this.socket.write(
      Buffer.concat([
        messageOf('R', Buffer.alloc(4)),
        ...Object.entries(reports).map(([name, value]) => messageOf('S', Buffer.from(`${name}\0${value}\0`))),
        messageOf('K', Buffer.alloc(8, 0x11)),
        messageOf('Z', Buffer.from('I')),
      ]),
    );
  }

  private take(message: Buffer): void {
    const type = String.fromCharCode(message.readUInt8(0));
    if (type === 'X') {
      this.socket.end();
      return;
    }
    if (this.backend === null) {
      if (COPY_MESSAGES.includes(type)) return;
      this.waiting.push(message);
      void this.ask();
      return;
    }
    this.forward(this.backend, message);
  }

  /** TP1. */
  private async ask(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    const backend = await this.backends.acquire();
    await backend.adopt(this.settings);
    this.isAsking = false;
    if (this.socket.destroyed) {
      this.backends.release(backend);
      return;
    }
    this.backend = backend;
    backend.serve(
      (message) => {
        this.answer(backend, message);
      },
      () => this.socket.destroy(),
    );
    for (const message of this.waiting.splice(0)) this.forward(backend, message);
  }

  private forward(backend: Backend, message: Buffer): void {
    const type = String.fromCharCode(message.readUInt8(0));
    if (ANSWERED.includes(type)) {
      this.answersDue += 1;
      this.isUnsynced = false;
    } else if (!COPY_MESSAGES.includes(type)) this.isUnsynced = true;
    backend.socket.write(message);
  }

  private answer(backend: Backend, message: Buffer): void {
    const [name, value] = reportIn(message) ?? [];
    if (name !== undefined && value !== undefined && TRACKED.includes(name)) this.settings.set(name, value);
    const isReady = message.readUInt8(0) === 'Z'.charCodeAt(0);
    if (isReady) {
      this.answersDue -= 1;
      const isIdle = message.readUInt8(5) === 'I'.charCodeAt(0);
      if (isIdle && this.answersDue === 0 && !this.isUnsynced) {
        this.backend = null;
        this.backends.release(backend);
      }
    }
    this.socket.write(message);
  }
}

/** One connection to the server, whose start-up `pg` has done. */
class Backend {
  private onMessage: (message: Buffer) => void = () => undefined;
  private onEnd: () => void = () => undefined;

  constructor(
    readonly socket: Socket,
    private readonly settings: Map<string, string>,
    onClose: (backend: Backend) => void,
  ) {
    socket.removeAllListeners('data');
    socket.on(
      'data',
      messagesOf(1, (message) => {
        const report = reportIn(message);
        if (report !== null) this.settings.set(...report);
        this.onMessage(message);
      }),
    );
    socket.on('close', () => {
      onClose(this);
      this.onEnd();
    });
  }

  serve(onMessage: (message: Buffer) => void, onEnd: () => void): void {
    this.onMessage = onMessage;
    this.onEnd = onEnd;
  }

  /** TP4. Nothing of it is answered to the client. */
  async adopt(settings: ReadonlyMap<string, string>): Promise<void> {
    const differing = [...settings].filter(([name, value]) => this.settings.get(name) !== value);
    if (differing.length === 0) return;
    const sql = differing.map(([name, value]) => `SET ${name} = ${pg.escapeLiteral(value)};`).join('');
    await new Promise<void>((resolve) => {
      this.serve((message) => {
        if (message.readUInt8(0) === 'Z'.charCodeAt(0)) resolve();
      }, resolve);
      this.socket.write(messageOf('Q', Buffer.from(`${sql}\0`)));
    });
  }

  rest(): void {
    this.serve(
      () => undefined,
      () => undefined,
    );
  }
}

class Backends {
  given = 0;
  private readonly all = new Set<Backend>();
  private readonly resting: Backend[] = [];
  private readonly asking: ((backend: Backend) => void)[] = [];
  private opening = 0;
  private parameters: Record<string, string> | null = null;

  constructor(
    private readonly url: string,
    private readonly limit: number,
  ) {}

  /** What the server reports of itself at the start of a session. */
  async reports(): Promise<Record<string, string>> {
    if (this.parameters === null) this.release(await this.acquire());
    return this.parameters ?? {};
  }

  async acquire(): Promise<Backend> {
    this.given += 1;
    if (this.all.size + this.opening < this.limit) return this.open();
    return this.resting.shift() ?? new Promise((resolve) => this.asking.push(resolve));
  }

  /** TP2. */
  release(backend: Backend): void {
    backend.rest();
    if (!this.all.has(backend)) return;
    const next = this.asking.shift();
    if (next) next(backend);
    else this.resting.push(backend);
  }

  end(): void {
    for (const { socket } of this.all) socket.destroy();
  }

  private async open(): Promise<Backend> {
    this.opening += 1;
    const client = new pg.Client({ connectionString: this.url, application_name: 'pooler' });
    client.on('error', () => undefined);
    const { connection } = client as unknown as {
      connection: { stream: Socket; on(event: 'parameterStatus', listener: (report: Report) => void): void };
    };
    const reports = new Map<string, string>();
    connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      reports.set(parameterName, parameterValue);
    });
    await client.connect();
    this.parameters ??= Object.fromEntries(reports);
    this.opening -= 1;
    const backend = new Backend(connection.stream, reports, (closedOne) => {
      this.lose(closedOne);
    });
    this.all.add(backend);
    return backend;
  }

  private lose(backend: Backend): void {
    this.all.delete(backend);
    const at = this.resting.indexOf(backend);
    if (at >= 0) this.resting.splice(at, 1);
    const next = this.asking.shift();
    if (next) void this.open().then(next);
  }
}

interface Report {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** Name and value of a ParameterStatus. */
function reportIn(message: Buffer): [name: string, value: string] | null {
  if (message.readUInt8(0) !== 'S'.charCodeAt(0)) return null;
  const [name = '', value = ''] = message.toString('utf8', 5).split('\0');
  return [name, value];
}

function messageOf(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** @returns a listener for chunks, which hands over each message when it is whole; its length stands at `lengthAt` */
function messagesOf(lengthAt: number, onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= lengthAt + 4) {
      const end = lengthAt + pending.readInt32BE(lengthAt);
      if (pending.length < end) return;
      const message = pending.subarray(0, end);
      pending = pending.subarray(end);
      onMessage(message);
    }
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
