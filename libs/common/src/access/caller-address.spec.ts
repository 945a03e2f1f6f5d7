import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import ipaddr from 'ipaddr.js';
import { callerAddress } from './caller-address.js';

const TRUSTED = [ipaddr.parseCIDR('10.0.0.0/24'), ipaddr.parseCIDR('fd00::7/128')];

function from(remoteAddress: string, forwarded?: string): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return callerAddress({ socket: { remoteAddress }, headers } as unknown as IncomingMessage, TRUSTED);
}

describe('the address of a caller', () => {
  it.each<[string, string, string | undefined, string]>([
    ['is that of the socket', '192.0.2.1', undefined, '192.0.2.1'],
    ['is not what a caller writes', '192.0.2.1', '198.51.100.9', '192.0.2.1'],
    ['is what a trusted proxy writes', '10.0.0.7', '198.51.100.9', '198.51.100.9'],
    ['the same over IPv6', 'fd00::7', '198.51.100.9', '198.51.100.9'],
    ['the same where the socket takes both', '::ffff:10.0.0.7', '198.51.100.9', '198.51.100.9'],
    ['is the last that no proxy has', '10.0.0.7', '1.1.1.1, 198.51.100.9, 10.0.0.8', '198.51.100.9'],
    ['is the proxy when it writes nothing', '10.0.0.7', undefined, '10.0.0.7'],
    ['is the proxy when it writes no address', '10.0.0.7', 'unknown', '10.0.0.7'],
    ['of proxies alone is the first one', '10.0.0.7', '10.0.0.9', '10.0.0.9'],
  ])('%s', (_what, socket, forwarded, address) => {
    expect(from(socket, forwarded)).toBe(address);
  });
});
