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
}

const LOOK_EVERY_MS = 30_000;

/**
 * The server of a port: HTTPS from TLS 1.2 on where there is a certificate, else HTTP.
 *
 * - HS1: a certificate that is replaced is used for new connections without a restart.
 * - HS2: one that cannot be used, or whose key is not there yet, leaves the one before in use.
 */
export function createPortServer(
  { tls, onUnusable = () => undefined, lookEveryMs = LOOK_EVERY_MS }: TlsOptions,
  options: ServerOptions,
  listener: RequestListener,
): PlainServer | TlsServer {
  const first = tls();
  if (first === null) return createPlainServer(options, listener);
  const server = createTlsServer({ ...options, ...first, minVersion: 'TLSv1.2' }, listener);
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
