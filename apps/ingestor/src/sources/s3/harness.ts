import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerRange } from '#test/support/answer-range.js';
import { setAwsCredentials } from '#test/support/aws-credentials.js';
import { startSourceServer } from '#test/support/source-server.js';
import type { SourceHarness } from '../source-harness.js';

const PATH = '/canary/data.csv';
const CREDENTIALS = { accessKeyId: 'CANARYKEY', secretAccessKey: 'canary-secret' };

interface StoredObject {
  readonly content: Buffer;
  readonly etag: string;
}

/** What a store answers to GetObject. That requests are signed is seen here; whether rightly, in `s3.medium-spec.ts`, by another store. */
const harness: SourceHarness = {
  skips: true,

  async start(content) {
    let stored: StoredObject | null = { content, etag: '"v1"' };
    let versions = 1;
    let pulled = 0;
    const count = (bytes: number): void => {
      pulled += bytes;
    };
    const server = await startSourceServer((request, response) => {
      const { authorization = '' } = request.headers;
      if (!authorization.startsWith('AWS4-HMAC-SHA256 Credential=CANARYKEY/'))
        fail(response, 403, 'InvalidAccessKeyId');
      else if (stored === null || !request.url?.startsWith(PATH)) fail(response, 404, 'NoSuchKey');
      else answer(request, response, stored, count);
    });
    const restore = setAwsCredentials(CREDENTIALS);
    return {
      uri: `s3:/${PATH}`,
      settings: { s3Endpoint: `http://127.0.0.1:${server.port}` },
      secrets: ['CANARYKEY', 'canary-secret'],
      replace: (other) => {
        stored = { content: other, etag: `"v${++versions}"` };
        return Promise.resolve();
      },
      remove: () => {
        stored = null;
        return Promise.resolve();
      },
      pulledBytes: () => pulled,
      openHandles: () => server.openConnections(),
      stop: async () => {
        restore();
        await server.close();
      },
    };
  },
};

export default harness;

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>CANARYKEY</Message></Error>`,
  );
}

function answer(
  { headers }: IncomingMessage,
  response: ServerResponse,
  stored: StoredObject,
  count: (bytes: number) => void,
): void {
  if (headers['if-match'] !== undefined && headers['if-match'] !== stored.etag) {
    fail(response, 412, 'PreconditionFailed');
    return;
  }
  answerRange(response, stored, headers.range, count);
}
