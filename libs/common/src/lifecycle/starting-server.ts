import { once } from 'node:events';
import type { Socket } from 'node:net';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import type { HealthAnswer } from '../http/health.controller.js';
import { type TlsOptions, createPortServer } from '../http/tls-server.js';
import { OWN_BUILD } from '../telemetry/build.js';

/**
 * Answers health probes at the service's port while the service itself is still being built, which may mean waiting
 * for PostgreSQL: live, and not ready. A probe that found nothing there would have the service restarted for an
 * outage of its database.
 * @returns ends it and frees the port
 * @throws SluiceError PORT_UNAVAILABLE
 */
export async function serveWhileStarting(
  port: number,
  host: string,
  tls: TlsOptions = { tls: () => null },
): Promise<() => Promise<void>> {
  const server = createPortServer(tls, {}, (request, response) => {
    const isLiveness = request.url === '/health/live';
    const problems = isLiveness ? [] : ['starting: waiting for what it needs; the log says for what'];
    const body: HealthAnswer = {
      status: isLiveness ? 'ok' : 'not ok',
      problems,
      pid: process.pid,
      build: OWN_BUILD,
    };
    response.writeHead(isLiveness ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  // Those of HTTP alone are known to `closeAllConnections`: a connection before its handshake would hold up the start.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, 'listening').catch((error: unknown) => {
    throw new SluiceError('PORT_UNAVAILABLE', `Nothing can listen on ${host}:${port}: ${messageOf(error)}.`);
  });
  return async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
}
