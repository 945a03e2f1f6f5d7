import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { SluiceError } from '#common/errors/sluice-error.js';

const HOST = '127.0.0.1';

/**
 * Below the range from which Linux (32768…) and macOS (49152…) take local ports of outgoing connections:
 * a port that was free a moment ago is not snatched by somebody's connection before our server listens.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** Whether a server of ours can listen on the port of 127.0.0.1, and nobody answers there. */
export async function isPortFree(port: number): Promise<boolean> {
  // On macOS one may listen on 127.0.0.1 although another listens on all addresses: so ask both ways.
  return !(await answers(port)) && (await canListen(port));
}

/**
 * Hands out ports nobody uses, never the same one twice; the preferred one when it is free.
 * @throws SluiceError REQUIREMENT_MISSING when hundreds of tries found none
 */
export class PortChooser {
  private readonly given = new Set<number>();

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

  private async take(port: number): Promise<boolean> {
    if (this.given.has(port) || !(await isPortFree(port))) return false;
    this.given.add(port);
    return true;
  }
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
