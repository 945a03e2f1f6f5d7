import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type CryptoKey, SignJWT } from 'jose';
import {
  type SigningKey,
  issuerOf,
  provide,
  signingKey,
  startOidcProvider,
  stopServer,
} from '#test/support/oidc-provider.js';
import { type OidcOptions, OidcTokens, addressOfKeys } from './oidc-tokens.js';
import type { Role } from './role-names.js';

const CLIENT = { id: 'ci', secret: 'secret' };
const AUDIENCE = 'https://sluice.example';
const ROLES = new Map<string, Role>([
  ['read', 'read'],
  ['ops', 'operate'],
  ['sre', 'admin'],
]);

/** How a token is signed. */
interface Signing {
  readonly kid?: string;
  readonly seconds?: number;
  readonly alg?: string;
  readonly by?: CryptoKey | Uint8Array;
}

async function askFor(server: Server, resource: string, scope = 'ops'): Promise<string> {
  const response = await fetch(`${issuerOf(server)}/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from('ci:secret').toString('base64')}`,
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope }),
  });
  const answer = (await response.json()) as { readonly access_token: string };
  expect([response.status, answer]).toMatchObject([200, { access_token: expect.any(String) }]);
  return answer.access_token;
}

/** Sockets and time-outs run. */
const DO_NOT_FAKE = [
  'nextTick',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'performance',
  'hrtime',
  'queueMicrotask',
] as const;

it.each<[string, unknown, string | null]>([
  ['https://login.example', 'https://keys.example/jwks', 'https://keys.example/jwks'],
  ['https://login.example', 'http://login.example/jwks', null],
  ['http://127.0.0.1:1', 'http://127.0.0.1:1/jwks', 'http://127.0.0.1:1/jwks'],
  ['https://login.example', 'file:///etc/keys', null],
  ['https://login.example', undefined, null],
])('of %s keys are taken from %s: %s', (issuer, named, taken) => {
  if (taken === null) expect(() => addressOfKeys(named, issuer)).toThrow('no https address');
  else expect(addressOfKeys(named, issuer).href).toBe(taken);
});

describe('tokens of an OIDC provider', () => {
  let key: SigningKey;
  let server: Server;

  beforeAll(async () => {
    // The provider advises against what it keeps in memory here.
    jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    jest.spyOn(console, 'info').mockImplementation(() => undefined);
    key = await signingKey('one');
    server = await startOidcProvider([key], CLIENT);
  });

  afterAll(async () => {
    jest.restoreAllMocks();
    await stopServer(server);
  });

  const others: Server[] = [];
  afterEach(() => Promise.all(others.splice(0).map(stopServer)));

  const tokensOf = (issuer: string, changes: Partial<OidcOptions> = {}): OidcTokens =>
    new OidcTokens({
      ...{ issuer, audience: AUDIENCE, roleClaim: 'realm.roles', roles: ROLES, cooldownMs: 0 },
      ...changes,
    });

  /** As the provider would sign it. */
  async function signed(
    claims: object,
    { seconds = 300, alg = 'ES256', by = key.privateKey, kid = 'one' }: Signing = {},
  ): Promise<string> {
    return new SignJWT({ iss: issuerOf(server), aud: AUDIENCE, sub: 'ann', sluice_role: 'read', ...claims })
      .setProtectedHeader({ alg, kid })
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(by);
  }

  it('OI1: name their subject, and the highest role of the claim', async () => {
    const token = await askFor(server, AUDIENCE);
    expect(OidcTokens.looksLike(token)).toBe(true);
    expect(await tokensOf(issuerOf(server)).holderOf(token)).toEqual({
      ...{ kind: 'oidc', name: 'ci', role: 'operate' },
    });
    expect(await tokensOf(issuerOf(server), { roleClaim: 'scope' }).holderOf(token)).toMatchObject({
      role: 'operate',
    });
  });

  it('OI1: for another audience do not count', async () => {
    const token = await askFor(server, 'https://other.example');
    expect(await tokensOf(issuerOf(server)).holderOf(token)).toBeNull();
  });

  it('OI1: of another issuer do not count, also with the same key', async () => {
    const other = await startOidcProvider([key], CLIENT);
    others.push(other);
    expect(await tokensOf(issuerOf(server)).holderOf(await askFor(other, AUDIENCE))).toBeNull();
  });

  it.each<[string, () => Promise<string>, boolean]>([
    ['that is right', () => signed({}), true],
    ['that expired within the tolerance', () => signed({}, { seconds: -30 }), true],
    ['that has expired', () => signed({}, { seconds: -61 }), false],
    ['that is not valid yet', () => signed({ nbf: Math.floor(Date.now() / 1000) + 90 }), false],
    ['without a subject', () => signed({ sub: undefined }), false],
    ['signed by another key', async () => signed({}, { by: (await signingKey('one')).privateKey }), false],
    [
      'signed with a shared secret',
      () => signed({}, { alg: 'HS256', by: new TextEncoder().encode('one'.repeat(20)) }),
      false,
    ],
    [
      'without a signature',
      async () =>
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await signed({})).split('.')[1] ?? ''}.AA`,
      false,
    ],
    [
      'that was changed',
      async () =>
        (await signed({})).replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"eve"}').toString('base64url')}.`),
      false,
    ],
  ])('OI1: one %s', async (_what, make, counts) => {
    const holder = await tokensOf(issuerOf(server), { roleClaim: 'sluice_role' }).holderOf(await make());
    expect(holder === null).toBe(!counts);
  });

  it('with a valid signature and no role are refused by name of the claim', async () => {
    await expect(
      tokensOf(issuerOf(server), { roleClaim: 'groups' }).holderOf(await signed({})),
    ).rejects.toMatchObject({
      ...{ code: 'ROLE_MISSING', status: 403, message: expect.stringContaining('claim groups') },
    });
  });

  it('OI2: signed by a new key of the provider count without a restart', async () => {
    const first = await startOidcProvider([key], CLIENT);
    const tokens = tokensOf(issuerOf(first));
    expect(await tokens.holderOf(await askFor(first, AUDIENCE))).toMatchObject({ name: 'ci' });
    others.push(first);
    await provide(first, [await signingKey('two')], CLIENT);
    expect(await tokens.holderOf(await askFor(first, AUDIENCE))).toMatchObject({ name: 'ci' });
  });

  it('OI3: cannot be checked while the provider is away, unless its keys are known', async () => {
    const first = await startOidcProvider([key], CLIENT);
    const token = await askFor(first, AUDIENCE);
    const reasons: unknown[] = [];
    const onAway = (error: unknown): void => void reasons.push(error);
    const known = tokensOf(issuerOf(first));
    const late = tokensOf(issuerOf(first), { onAway });
    await known.holderOf(token);
    const { port } = first.address() as AddressInfo;
    await stopServer(first);
    expect(await known.holderOf(token)).toMatchObject({ name: 'ci' });
    await expect(late.holderOf(token)).rejects.toMatchObject({ code: 'OIDC_UNAVAILABLE', status: 503 });
    expect(reasons).toHaveLength(1);
    others.push(await startOidcProvider([key], CLIENT, port));
    expect(await late.holderOf(token)).toMatchObject({ name: 'ci' });
  });

  it.each([0, 60_000])(
    'OI3: of known keys count while the provider is away, whatever key a forged one names (looks again after %d ms)',
    async (cooldownMs) => {
      const first = await startOidcProvider([key], CLIENT);
      const token = await askFor(first, AUDIENCE);
      const tokens = tokensOf(issuerOf(first), { cooldownMs });
      const forged = await signed({ iss: issuerOf(first) }, { kid: 'unknown' });
      await tokens.holderOf(token);
      await stopServer(first);
      jest.useFakeTimers({ now: Date.now() + 120_000, doNotFake: [...DO_NOT_FAKE] });
      try {
        await expect(tokens.holderOf(forged)).rejects.toMatchObject({ code: 'OIDC_UNAVAILABLE' });
        expect(await tokens.holderOf(token)).toMatchObject({ name: 'ci' });
        await expect(tokens.holderOf(forged)).rejects.toMatchObject({ code: 'OIDC_UNAVAILABLE' });
        expect(await tokens.holderOf(await signed({ aud: 'https://other.example' }))).toBeNull();
      } finally {
        jest.useRealTimers();
      }
    },
  );
});
