import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from './eventually.js';

/** An HTTP source that comes in parts, so that a test can act in the middle of a job. */
export interface HeldSource {
  readonly url: string;
  /** Lets the next part pass, to those that wait and to those that ask from now on. */
  goOn(): void;
  close(): Promise<void>;
}

/**
 * Without Range and ETag, so that an interrupted job has to read all of it again.
 * @param shares of the content, ascending, each below 1: where it stops
 */
export async function startHeldSource(
  content: Buffer,
  shares: readonly number[] = [0.5],
): Promise<HeldSource> {
  let passed = 0;
  const endOf = (part: number): number => Math.floor(content.length * (shares[part] ?? 1));
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': content.length });
    let sent = 0;
    const send = async (): Promise<void> => {
      while (sent < content.length) {
        await eventually(() => response.destroyed || endOf(passed) > sent, 'the source to go on', 300_000);
        if (response.destroyed) return;
        response.write(content.subarray(sent, endOf(passed)));
        sent = endOf(passed);
      }
      response.end();
    };
    void send();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/source.csv`,
    goOn: () => {
      passed += 1;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
