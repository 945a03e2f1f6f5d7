import { type IncomingMessage, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stopServer } from '#test/support/oidc-provider.js';
import type { OAuthLogin } from '../../config/kafka-oauth.config.js';
import { brokerErrorText, classifyBrokerError } from './kafka-errors.js';
import { OAuthTokens } from './oauth-login.js';

const HOUR_MS = 3_600_000;

interface Answer {
  readonly status?: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

/** How providers answer that no provider can be made to answer on demand; real ones are in kafka-login.medium-spec.ts. */
describe('tokens for the credentials of a client', () => {
  let server: Server;
  let now: number;
  let answer: (request: number) => Answer | null;
  const asked: { readonly authorization: string | undefined; readonly body: string }[] = [];

  const given = (value: string, seconds: unknown = 3_600): Answer => ({
    body: { access_token: value, token_type: 'Bearer', expires_in: seconds },
  });

  beforeEach(async () => {
    now = 0;
    asked.length = 0;
    answer = (request) => given(`token-${request}`);
    server = createServer((request: IncomingMessage, response) => {
      void text(request).then((body) => {
        asked.push({ authorization: request.headers.authorization, body });
        const made = answer(asked.length);
        if (made === null) return;
        response.writeHead(made.status ?? 200, made.headers);
        response.end(typeof made.body === 'string' ? made.body : JSON.stringify(made.body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(() => stopServer(server));

  const loginBy = (changes: Partial<OAuthLogin> = {}): OAuthLogin => ({
    ...{
      mechanism: 'oauthbearer',
      clientId: 'sluice-loader',
      clientSecret: 'secret',
      scope: '',
      audience: '',
    },
    tokenEndpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    ...changes,
  });

  const tokensOf = (login = loginBy(), answerTimeoutMs?: number): OAuthTokens =>
    new OAuthTokens(login, answerTimeoutMs, () => now);

  const failureOf = (tokens: OAuthTokens): Promise<unknown> =>
    tokens.current().catch((error: unknown) => error);

  it('are asked for as RFC 6749 has it, with what is set alone', async () => {
    await tokensOf(loginBy({ clientId: 'a:b c', clientSecret: 'ü%/+' })).current();
    await tokensOf(loginBy({ scope: 'read write', audience: 'https://kafka.example' })).current();
    expect(asked).toEqual([
      {
        authorization: `Basic ${Buffer.from('a%3Ab+c:%C3%BC%25%2F%2B').toString('base64')}`,
        body: 'grant_type=client_credentials',
      },
      {
        authorization: `Basic ${Buffer.from('sluice-loader:secret').toString('base64')}`,
        body: 'grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fkafka.example',
      },
    ]);
  });

  it('OL1: are used until half a minute before they expire, and one request serves all who wait for it', async () => {
    const tokens = tokensOf();
    const all = (): Promise<string[]> => Promise.all([tokens.current(), tokens.current(), tokens.current()]);
    expect(await all()).toEqual(['token-1', 'token-1', 'token-1']);
    now = HOUR_MS - 30_001;
    expect(await tokens.current()).toBe('token-1');
    now = HOUR_MS - 30_000;
    expect(await all()).toEqual(['token-2', 'token-2', 'token-2']);
    expect(asked.length).toBe(2);
  });

  it('OL1: that live shorter than a minute are used for half their life, and without a life once', async () => {
    answer = (request) => given(`token-${request}`, request === 1 ? 20 : null);
    const tokens = tokensOf();
    await tokens.current();
    now = 9_999;
    expect(await tokens.current()).toBe('token-1');
    now = 10_000;
    expect(await tokens.current()).toBe('token-2');
    expect(await tokens.current()).toBe('token-3');
  });

  it('OL2: stay in use while the provider is away and they are valid', async () => {
    const tokens = tokensOf();
    await tokens.current();
    answer = () => ({ status: 503, body: '<html>' });
    now = HOUR_MS - 30_000;
    expect([await tokens.current(), await tokens.current()]).toEqual(['token-1', 'token-1']);
    expect(asked.length).toBe(2);
    now = HOUR_MS;
    expect(classifyBrokerError(await failureOf(tokens))).toBe('wait');
    expect(asked.length).toBe(3);
    answer = () => given('back');
    expect(await tokens.current()).toBe('back');
  });

  it('OL3: that were refused are not used again', async () => {
    const tokens = tokensOf();
    tokens.forget(await tokens.current());
    expect(await tokens.current()).toBe('token-2');
    tokens.forget('token-1');
    expect(await tokens.current()).toBe('token-2');
  });

  it('take a secret that has changed with the next request', async () => {
    let secret = 'first';
    const login: OAuthLogin = Object.defineProperty(loginBy(), 'clientSecret', { get: () => secret });
    answer = (request) =>
      request === 1 ? { status: 401, body: { error: 'invalid_client' } } : given('right');
    const tokens = tokensOf(login);
    expect(classifyBrokerError(await failureOf(tokens))).toBe('setup');
    secret = 'second';
    expect(await tokens.current()).toBe('right');
    expect(asked[1]?.authorization).toBe(`Basic ${Buffer.from('sluice-loader:second').toString('base64')}`);
  });

  it.each<[string, Answer | null, 'setup' | 'wait', string]>([
    [
      'a wrong secret',
      { status: 401, body: { error: 'invalid_client' } },
      'setup',
      'does not accept KAFKA_OAUTH_CLIENT_ID with KAFKA_OAUTH_CLIENT_SECRET (401 invalid_client)',
    ],
    [
      'a wrong scope',
      { status: 400, body: { error: 'invalid_scope' } },
      'setup',
      'does not accept KAFKA_OAUTH_SCOPE (400 invalid_scope)',
    ],
    [
      'a wrong audience',
      { status: 400, body: { error: 'invalid_target' } },
      'setup',
      'does not accept KAFKA_OAUTH_AUDIENCE (400 invalid_target)',
    ],
    ['another address', { status: 404, body: '<html>' }, 'setup', 'gives no token (404)'],
    ['a page', { body: '<html>' }, 'setup', 'gives no token (200 and no token)'],
    ['no object', { body: 'null' }, 'setup', 'gives no token (200 and no token)'],
    ['a token that could end its field', { body: { access_token: 'a\u0001b' } }, 'setup', 'gives no token'],
    [
      'words for a person',
      { status: 400, body: { error: '<b>no</b>\u001b[31m' } },
      'setup',
      'gives no token (400)',
    ],
    ['too many requests', { status: 429, body: '' }, 'wait', 'gives no token now (429)'],
    ['a fault of its own', { status: 502, body: '' }, 'wait', 'gives no token now (502)'],
    [
      'a redirect',
      { status: 307, headers: { location: 'http://127.0.0.1:1/' }, body: '' },
      'wait',
      'cannot be reached (unexpected redirect)',
    ],
    ['nothing', null, 'wait', 'cannot be reached (no answer in time)'],
  ])('make %s one sentence after one request', async (_, made, kind, words) => {
    answer = () => made;
    const failure = await failureOf(tokensOf(loginBy(), made === null ? 50 : undefined));
    expect(classifyBrokerError(failure)).toBe(kind);
    expect(brokerErrorText(failure)).toMatch(/^the provider at KAFKA_OAUTH_TOKEN_ENDPOINT /);
    expect(brokerErrorText(failure)).toContain(words);
    expect(failure).toMatchObject({ retriable: false });
    expect(asked.length).toBe(1);
  });
});
