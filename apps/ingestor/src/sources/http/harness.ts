import { answerRange } from '#test/support/answer-range.js';
import { startSourceServer } from '#test/support/source-server.js';
import type { SourceHarness } from '../source-harness.js';

const PAIR = Buffer.from('canary-user:canary-word').toString('base64');
const PATH = '/data.csv?key=canary-query';

/** A file server with strong ETags, If-Range and Basic authorization. What it hands to its sockets counts as pulled. */
const harness: SourceHarness = {
  skips: true,

  async start(content) {
    let served: { readonly content: Buffer; readonly etag: string } | null = { content, etag: '"v1"' };
    let versions = 1;
    let pulled = 0;
    const count = (bytes: number): void => {
      pulled += bytes;
    };
    const server = await startSourceServer((request, response) => {
      const { authorization, range } = request.headers;
      if (authorization !== `Basic ${PAIR}` || request.url !== PATH) {
        response.writeHead(401).end();
      } else if (served === null) response.writeHead(404).end();
      else
        answerRange(response, served, request.headers['if-range'] === served.etag ? range : undefined, count);
    });
    return {
      uri: `http://canary-user:canary-word@127.0.0.1:${server.port}${PATH}#canary-hash`,
      secrets: ['canary-user', 'canary-word', 'canary-query', 'canary-hash', PAIR],
      replace: (other) => {
        served = { content: other, etag: `"v${++versions}"` };
        return Promise.resolve();
      },
      remove: () => {
        served = null;
        return Promise.resolve();
      },
      pulledBytes: () => pulled,
      openHandles: () => server.openConnections(),
      stop: () => server.close(),
    };
  },
};

export default harness;
