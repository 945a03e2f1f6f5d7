import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';

export type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * From which address a request comes: that of the socket, or, where a trusted proxy has sent it, the last one in X-Forwarded-For that is
 * no trusted proxy. What stands before that one, anyone may have written.
 */
export function callerAddress(request: IncomingMessage, trusted: readonly Network[]): string {
  const nearest = request.socket.remoteAddress ?? '';
  const header = [request.headers['x-forwarded-for'] ?? []].flat().join(',');
  let address = nearest;
  for (const hop of header.split(',').reverse()) {
    if (!isIn(address, trusted) || !ipaddr.isValid(hop.trim())) return address;
    address = hop.trim();
  }
  return address;
}

function isIn(text: string, networks: readonly Network[]): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  return networks.some(
    ([network, bits]) => address.kind() === network.kind() && address.match(network, bits),
  );
}
