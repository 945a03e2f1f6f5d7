import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectPlainly } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { SELF_SIGNED, SELF_SIGNED_NEXT } from '#test/support/self-signed.js';
import { type PemTexts, createPortServer } from './tls-server.js';

describe('the server of a port', () => {
  let server: Server;
  let texts: PemTexts | null;
  let unusable: unknown[];

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  async function serve(first: PemTexts | null): Promise<void> {
    texts = first;
    unusable = [];
    const options = {
      tls: () => texts,
      onUnusable: (error: unknown) => unusable.push(error),
      lookEveryMs: 5,
      handshakeMs: 50,
    };
    server = createPortServer(options, {}, (_request, response) => response.end('answered'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }

  const port = (): number => (server.address() as AddressInfo).port;

  /** Of the certificate that a new connection is shown. */
  async function shown(options: ConnectionOptions = {}): Promise<string> {
    const socket = connect({ port: port(), host: '127.0.0.1', rejectUnauthorized: false, ...options });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerX509Certificate()?.fingerprint256 ?? '';
    } finally {
      socket.destroy();
    }
  }

  const fingerprintOf = ({ cert }: PemTexts): string => new X509Certificate(cert).fingerprint256;

  it('speaks plain HTTP without a certificate', async () => {
    await serve(null);
    expect(await (await fetch(`http://127.0.0.1:${port()}`)).text()).toBe('answered');
  });

  it('speaks TLS from 1.2 on with one', async () => {
    await serve(SELF_SIGNED);
    expect(await shown({ maxVersion: 'TLSv1.2' })).toBe(fingerprintOf(SELF_SIGNED));
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(shown(old)).rejects.toMatchObject({ code: expect.stringMatching(/PROTOCOL_VERSION|ALERT/) });
    await expect(fetch(`http://127.0.0.1:${port()}`)).rejects.toThrow();
  });

  it('HS1: shows a certificate that is replaced to new connections', async () => {
    await serve(SELF_SIGNED);
    texts = SELF_SIGNED_NEXT;
    await eventually(async () => (await shown()) === fingerprintOf(SELF_SIGNED_NEXT), 'the new certificate');
  });

  it('HS2: keeps the one before while the key is of another', async () => {
    await serve(SELF_SIGNED);
    texts = { cert: SELF_SIGNED_NEXT.cert, key: SELF_SIGNED.key };
    await eventually(() => unusable.length === 1, 'a report');
    expect(await shown()).toBe(fingerprintOf(SELF_SIGNED));
    texts = SELF_SIGNED_NEXT;
    await eventually(async () => (await shown()) === fingerprintOf(SELF_SIGNED_NEXT), 'the new certificate');
    expect(unusable).toHaveLength(1);
  });

  it('HS3: ends a connection that begins no handshake', async () => {
    await serve(SELF_SIGNED);
    const silent = connectPlainly(port(), '127.0.0.1');
    silent.resume();
    await once(silent, 'close', { signal: AbortSignal.timeout(30_000) });
  });
});
