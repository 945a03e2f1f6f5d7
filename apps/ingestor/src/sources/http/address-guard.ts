import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';
import { SluiceError } from '#common/errors/sluice-error.js';

/**
 * Keeps http sources away from addresses that are not meant as sources (server-side request forgery).
 *
 * - AG1: the judged address is the one that is connected to: the guard sits in the connection's own name resolution,
 *   so a name that resolves differently the second time is judged the second time.
 * - AG2: every connection is judged, those of redirects and retries too.
 * - AG3: an IPv4 address inside an IPv6 one (mapped, compatible, translated, NAT64, 6to4) is judged as itself.
 * - AG4: what is not known to be harmless is refused.
 * - AG5: a chain of redirects that has been at a public address reaches a private one only where a setting says so:
 *   who names the first address does not choose where a foreign server leads.
 */

/** Whether private addresses may be connected to, and if not, why. */
export type AddressPolicy = 'allow' | keyof typeof DENIALS;

const DENIALS = {
  deny: 'private, loopback, link-local, metadata …',
  'needs-token': 'private and loopback ones are for callers with the token',
  'from-public': 'a public address redirects to a private one',
} as const;

/** `private` includes loopback; whether it is allowed is a matter of the policy. `forbidden` never is. */
export type AddressClass = 'public' | 'private' | 'forbidden';

const PRIVATE_RANGES = new Set([
  'loopback',
  'private',
  'uniqueLocal',
  'carrierGradeNat',
  'deprecatedSiteLocal',
]);

/** Metadata services outside the link-local ranges: AWS (IPv6), Google (IPv6), Alibaba, Azure. */
const METADATA_RANGES = ['fd00:ec2::/32', 'fd20:ce::/64', '100.100.100.200/32', '168.63.129.16/32'].map(
  (range) => ipaddr.parseCIDR(range),
);
const METADATA_NAMES = new Set(['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data']);

/** Where IPv6 addresses hold an IPv4 address: the prefix, and the byte at which it begins (RFC 4291, 6052, 6145, 3056). */
const EMBEDDINGS = [
  { prefix: '::/96', at: 12 },
  { prefix: '::ffff:0:0/96', at: 12 },
  { prefix: '::ffff:0:0:0/96', at: 12 },
  { prefix: '64:ff9b::/96', at: 12 },
  { prefix: '2002::/16', at: 2 },
].map(({ prefix, at }) => ({ prefix: ipaddr.IPv6.parseCIDR(prefix), at }));

/** @param address an IPv4 or IPv6 address in any usual spelling, also with a zone */
export function classifyAddress(address: string): AddressClass {
  if (!ipaddr.isValid(address)) return 'forbidden';
  const parsed = unwrapped(ipaddr.parse(address));
  if (METADATA_RANGES.some((range) => range[0].kind() === parsed.kind() && parsed.match(range)))
    return 'forbidden';
  const range = parsed.range();
  if (range === 'unicast') return 'public';
  return PRIVATE_RANGES.has(range) ? 'private' : 'forbidden';
}

function unwrapped(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (!(address instanceof ipaddr.IPv6) || address.range() === 'loopback') return address;
  const holder = EMBEDDINGS.find(({ prefix }) => address.match(prefix));
  return holder ? new ipaddr.IPv4(address.toByteArray().slice(holder.at, holder.at + 4)) : address;
}

/** Resolves a name to all its addresses, as `dns.lookup` does with `all`. */
export type ResolveName = (name: string, done: (error: Error | null, found: LookupAddress[]) => void) => void;

export interface GuardParts {
  /** Node's own, where a test does not bring another one. */
  readonly resolveName?: ResolveName;
  readonly classify?: (address: string) => AddressClass;
  /** Called for every connection made, with the class of its address. */
  readonly onConnect?: (asked: buildConnector.Options, kind: AddressClass) => void;
}

const resolveBySystem: ResolveName = (name, done) => {
  systemLookup(name, { all: true }, done);
};

/**
 * A connector for undici that refuses addresses with SluiceError SOURCE_NOT_ALLOWED before any packet is sent.
 * Certificates are verified whatever NODE_TLS_REJECT_UNAUTHORIZED says.
 */
export function guardedConnector(
  policy: AddressPolicy,
  connectTimeoutMs: number,
  { resolveName = resolveBySystem, classify = classifyAddress, onConnect }: GuardParts = {},
): buildConnector.connector {
  const allowed = (address: string): boolean => {
    const kind = classify(address);
    return kind === 'public' || (kind === 'private' && policy === 'allow');
  };
  const lookup: LookupFunction = (name, options, done) => {
    if (METADATA_NAMES.has(bareName(name))) {
      done(refusal(name, policy), '');
      return;
    }
    resolveName(name, (error, found) => {
      const usable = error ? [] : found.filter((a) => allowed(a.address) && fits(a.family, options.family));
      const [first] = usable;
      if (error) done(error, '');
      else if (!first) done(refusal(name, policy), '');
      else if (options.all) done(null, usable);
      else done(null, first.address, first.family);
    });
  };
  const connect = buildConnector({ timeout: connectTimeoutMs, rejectUnauthorized: true, lookup });
  return (options, done) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // Node resolves no name for a literal address, so the lookup above would never see it.
    if (isIP(host) !== 0 && !allowed(host)) done(refusal(host, policy), null);
    else {
      connect(options, (...result) => {
        const [error, socket] = result;
        if (error === null) onConnect?.(options, classify(socket.remoteAddress ?? ''));
        done(...result);
      });
    }
  };
}

function bareName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function fits(family: number, wanted: number | string | undefined): boolean {
  if (wanted === undefined || wanted === 0) return true;
  return family === wanted || `IPv${String(family)}` === wanted;
}

function refusal(host: string, policy: AddressPolicy): SluiceError {
  const reason = policy === 'allow' ? 'link-local, metadata, multicast …' : DENIALS[policy];
  return new SluiceError(
    'SOURCE_NOT_ALLOWED',
    `${host} is an address that sources may not have (${reason}).`,
  );
}
