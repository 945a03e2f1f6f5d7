import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Whether what is sent to the host stays on this machine. A name other than `localhost` may mean any address, and `127.1` is a name here.
 * @param host a name or an address; IPv6 with brackets or without
 */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return bare === 'localhost' || (isIP(bare) !== 0 && ipaddr.process(bare).range() === 'loopback');
}

/** Whether a secret may be sent there: by https, or by http within this machine. */
export function isSafeForSecrets(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname));
}
