import type { Server as PlainServer, RequestListener, ServerOptions } from 'node:http';
import { createServer as createPlainServer } from 'node:http';
import { type Server as TlsServer, createServer as createTlsServer } from 'node:https';

export interface PemTexts {
  readonly cert: string;
  readonly key: string;
}

export interface TlsOptions {
  /** As they are now; null: plain HTTP. What is null at the start stays so. */
  readonly tls: () => PemTexts | null;
  /** Receives why a certificate that was replaced is not used; once for each. */
  readonly onUnusable?: (error: unknown) => void;
  /** How often is looked whether the certificate was replaced; half a minute unless a test is in a hurry. */
  readonly lookEveryMs?: number;
  /** 10 s unless a test is in a hurry. */
  readonly handshakeMs?: number;
}

const LOOK_EVERY_MS = 30_000;
/** Until it is over, no limit of HTTP counts: with Node's own 120 s, connections that send nothing would take all the places. */
const HANDSHAKE_MS = 10_000;

/**
 * The server of a port: HTTPS from TLS 1.2 on where there is a certificate, else HTTP.
 *
 * - HS1: a certificate that is replaced is used for new connections without a restart.
 * - HS2: one that cannot be used, or whose key is not there yet, leaves the one before in use.
 * - HS3: a connection whose handshake takes longer than `handshakeMs` is ended.
 */
export function createPortServer(
  {
    tls,
    onUnusable = () => undefined,
    lookEveryMs = LOOK_EVERY_MS,
    handshakeMs: handshakeTimeout = HANDSHAKE_MS,
  }: TlsOptions,
  options: ServerOptions,
  listener: RequestListener,
): PlainServer | TlsServer {
  const first = tls();
  if (first === null) return createPlainServer(options, listener);
  const server = createTlsServer({ ...options, ...first, minVersion: 'TLSv1.2', handshakeTimeout }, listener);
  let seen = first;
  const looking = setInterval(() => {
    const now = tls();
    if (now === null || (now.cert === seen.cert && now.key === seen.key)) return;
    seen = now;
    try {
      server.setSecureContext({ ...now, minVersion: 'TLSv1.2' });
    } catch (error) {
      onUnusable(error);
    }
  }, lookEveryMs);
  looking.unref();
  server.on('close', () => {
    clearInterval(looking);
  });
  return server;
}
