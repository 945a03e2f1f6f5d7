import { randomInt } from 'node:crypto';
import { type Socket, createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { SluiceError } from '#common/errors/sluice-error.js';

const HOST = '127.0.0.1';

/**
 * Below the range from which Linux (32768…) and macOS (49152…) take local ports of outgoing connections:
 * a port that was free a moment ago is not taken by an outgoing connection before our server listens.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** Whether one of our servers can listen on the port of 127.0.0.1, and no other server answers there. */
export async function isPortFree(port: number): Promise<boolean> {
  // macOS lets a process listen on 127.0.0.1 although another listens on all addresses, so this checks both.
  return !(await answers(port)) && (await canListen(port));
}

/**
 * Hands out unused ports, never the same one twice; the preferred one when it is free.
 *
 * A port stays free for seconds after it was chosen: data folders are made first, and a JVM starts. One that `reserves`
 * keeps what it chooses from all others that do so, in any process of this machine, until it releases or that process ends.
 */
export class PortChooser {
  private readonly given = new Set<number>();
  private readonly reservations: Socket[] = [];

  constructor(private readonly options: { readonly reserves?: boolean } = {}) {}

  /** @throws SluiceError REQUIREMENT_MISSING when hundreds of tries found none */
  async choose(...preferred: readonly (number | undefined)[]): Promise<number> {
    for (const port of preferred) {
      if (port !== undefined && (await this.take(port))) return port;
    }
    for (let tries = 0; tries < 500; tries++) {
      const port = randomInt(FIRST_PORT, LAST_PORT);
      if (await this.take(port)) return port;
    }
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `No free port was found between ${FIRST_PORT} and ${LAST_PORT} on ${HOST}: end programs that hold many ports.`,
    );
  }

  /** What it has handed out remains so, but others may reserve it. */
  release(): void {
    for (const reservation of this.reservations.splice(0)) reservation.close();
  }

  private async take(port: number): Promise<boolean> {
    if (this.given.has(port)) return false;
    // Before the check whether the port is free: the process that reserved it before may listen by now.
    const reservation = this.options.reserves === true ? await reserve(port) : undefined;
    if (reservation === null) return false;
    if (!(await isPortFree(port))) {
      reservation?.close();
      return false;
    }
    if (reservation !== undefined) this.reservations.push(reservation);
    this.given.add(port);
    return true;
  }
}

/**
 * The UDP port of the same number stands for the TCP port: the system gives it to one process only and takes it back
 * however that ends, which a file would outlive. No server of ours uses UDP.
 * @returns null when another process has it
 */
function reserve(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', () => {
      socket.close();
      resolve(null);
    });
    socket.bind({ port, address: HOST, exclusive: true }, () => {
      resolve(socket);
    });
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: HOST, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST });
    const settle = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1_000, () => {
      settle(true);
    });
    socket.once('connect', () => {
      settle(true);
    });
    socket.once('error', () => {
      settle(false);
    });
  });
}
