import type { ServerResponse } from 'node:http';
import { type SourceServer, startSourceServer } from './source-server.js';

/** What a halting source answers from now on. */
export interface Halting {
  readonly content: Buffer;
  /** Null: it knows no ranges and says nothing about its version. */
  readonly etag: string | null;
  /** `half`: each answer waits at half of the content until `goOn`; `cut`: it ends there. */
  readonly at: 'half' | 'cut' | 'end';
}

/** An HTTP source that halts half-way, and becomes another one when a test wants it. */
export interface HaltingSource {
  readonly url: string;
  /** The Range headers that were asked for, in order. */
  readonly ranges: readonly (string | undefined)[];
  serves(change: Partial<Halting>): void;
  /** Sends the rest, to all that wait. */
  goOn(): void;
  close(): Promise<void>;
}

export async function startHaltingSource(content: Buffer, etag: string | null): Promise<HaltingSource> {
  let serving: Halting = { content, etag, at: 'half' };
  const waiting = new Set<() => void>();
  const server: SourceServer = await startSourceServer((request, response) => {
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const isRange = asked !== null && request.headers['if-range'] === serving.etag;
    answer(response, isRange ? Number(asked[1]) : 0, isRange);
  });

  function answer(response: ServerResponse, start: number, isRange: boolean): void {
    const { content: all, etag: tag, at } = serving;
    const half = Math.max(start, Math.floor(all.length / 2));
    response.writeHead(isRange ? 206 : 200, {
      'content-length': all.length - start,
      ...(tag === null ? {} : { etag: tag }),
      ...(isRange ? { 'content-range': `bytes ${start}-${all.length - 1}/${all.length}` } : {}),
    });
    if (at === 'end') {
      response.end(all.subarray(start));
      return;
    }
    response.write(all.subarray(start, half), () => {
      if (at === 'cut') response.destroy();
    });
    if (at === 'half') waiting.add(() => response.end(all.subarray(half)));
  }

  return {
    url: server.url(),
    get ranges() {
      return server.requests.map(({ headers }) => headers.range);
    },
    serves: (change) => {
      serving = { ...serving, ...change };
    },
    goOn: () => {
      serving = { ...serving, at: 'end' };
      for (const end of waiting) end();
      waiting.clear();
    },
    close: () => server.close(),
  };
}
