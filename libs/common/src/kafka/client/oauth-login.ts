import kafkajs, { type Mechanism } from 'kafkajs';
import type { OAuthLogin } from '../../config/kafka-oauth.config.js';
import { messageOf } from '../../errors/sluice-error.js';
import { kafkaErrorName } from './kafka-errors.js';

/** The longest time that the provider may take; brokers and kafkajs wait for a login longer than that. */
const ANSWER_TIMEOUT_MS = 5_000;
/** kafkajs logs in again 10 s before a token expires, and must get a newer one then. */
const RENEWED_BEFORE_MS = 30_000;
/** The shortest time between two requests for a newer token while the last one is still valid. */
const PROVIDER_AWAY_MS = 5_000;
/** What RFC 6750 allows: anything else could end the field that it stands in. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * SASL OAUTHBEARER (RFC 7628) with tokens for the credentials of a client (RFC 6749, section 4.4).
 *
 * - OL1: a token is used until shortly before its expiry, and all who connect meanwhile share one request for the next.
 * - OL2: while the provider is away, a token stays in use as long as it is valid. Without one, each attempt to connect asks
 *   once, for at most five seconds; who connects decides when to try again.
 * - OL3: a token that the brokers refuse is forgotten, so that the next attempt notices a corrected provider.
 */
export function oauthMechanism(login: OAuthLogin): Mechanism {
  const tokens = new OAuthTokens(login);
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: async () => {
        const token = await tokens.current();
        const exchange = async (text: string): Promise<string> =>
          (await saslAuthenticate({ request: { encode: () => framed(text) }, response: TEXT })) ?? '';
        let refusal = '';
        try {
          refusal = await exchange(`n,,\u0001auth=Bearer ${token}\u0001\u0001`);
          if (refusal === '') return;
          // Brokers send the reason of a refusal as a question, and fail the login at the answer to it. kafkajs's own
          // provider takes that question for a success, and is cut off without a reason at its next request.
          await exchange('\u0001');
        } catch (error) {
          if (kafkaErrorName(error) !== 'SASL_AUTHENTICATION_FAILED') throw error;
          if (refusal === '') refusal = messageOf(error);
        }
        tokens.forget(token);
        throw new OAuthFault(
          'OAUTH_TOKEN_REFUSED',
          `the brokers do not accept the tokens of KAFKA_OAUTH_TOKEN_ENDPOINT for KAFKA_OAUTH_CLIENT_ID (${refusal})`,
        );
      },
    }),
  };
}

/** kafkajs wants bytes with their length before them, and gives them so. */
function framed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const TEXT = {
  decode: (answer: Buffer): Buffer => answer.subarray(4),
  parse: (bytes: Buffer): string => bytes.toString(),
};

/** Its message names the setting to look at. kafkajs does not try again by itself. */
class OAuthFault extends kafkajs.KafkaJSNonRetriableError {
  constructor(
    /** As kafka-errors.ts lists it. */
    readonly type: 'OAUTH_PROVIDER_UNAVAILABLE' | 'OAUTH_CLIENT_REFUSED' | 'OAUTH_TOKEN_REFUSED',
    message: string,
  ) {
    super(message);
  }
}

interface Token {
  readonly value: string;
  renewAt: number;
  readonly expiresAt: number;
}

/** Tokens of one client, one after the other (OL1, OL2). */
export class OAuthTokens {
  private token: Token | null = null;
  private asking: Promise<Token> | null = null;

  constructor(
    private readonly login: OAuthLogin,
    private readonly answerTimeoutMs = ANSWER_TIMEOUT_MS,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws OAuthFault when there is no valid one, and the provider gives none */
  async current(): Promise<string> {
    const { token: last } = this;
    if (last !== null && this.now() < last.renewAt) return last.value;
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    try {
      this.token = await this.asking;
      return this.token.value;
    } catch (error) {
      if (last === null || this.now() >= last.expiresAt) throw error;
      last.renewAt = this.now() + PROVIDER_AWAY_MS;
      return last.value;
    }
  }

  /** OL3. */
  forget(value: string): void {
    if (this.token?.value === value) this.token = null;
  }

  private async ask(): Promise<Token> {
    const { tokenEndpoint, clientId, clientSecret, scope, audience } = this.login;
    const askedAt = this.now();
    const credentials = [clientId, clientSecret].map(formEncoded).join(':');
    let status: number;
    let text: string;
    try {
      const response = await fetch(tokenEndpoint, {
        method: 'POST',
        headers: {
          accept: 'application/json',
          authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          ...(scope !== '' && { scope }),
          ...(audience !== '' && { audience }),
        }),
        // It could lead the secret elsewhere.
        redirect: 'error',
        signal: AbortSignal.timeout(this.answerTimeoutMs),
      });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      throw new OAuthFault(
        'OAUTH_PROVIDER_UNAVAILABLE',
        `the provider at KAFKA_OAUTH_TOKEN_ENDPOINT cannot be reached (${reasonOf(error)})`,
      );
    }
    const answer = jsonObject(text);
    if (status >= 400) throw refusal(status, answer['error']);
    const { access_token: value, expires_in: seconds } = answer;
    if (typeof value !== 'string' || !BEARER_TOKEN.test(value)) throw refusal(status, 'and no token');
    const lifeMs = Number(seconds) > 0 ? Number(seconds) * 1_000 : 0;
    const expiresAt = askedAt + lifeMs;
    return { value, expiresAt, renewAt: expiresAt - Math.min(RENEWED_BEFORE_MS, lifeMs / 2) };
  }
}

/** RFC 6749, section 2.3.1: credentials are encoded as in a form before they are joined by a colon. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

/** Which setting an error of RFC 6749 or RFC 8707 is about. */
const ABOUT: ReadonlyMap<unknown, string> = new Map([
  ['invalid_scope', 'KAFKA_OAUTH_SCOPE'],
  ['invalid_target', 'KAFKA_OAUTH_AUDIENCE'],
]);
const CREDENTIALS = 'KAFKA_OAUTH_CLIENT_ID with KAFKA_OAUTH_CLIENT_SECRET';
/** Of a provider that has too much to do, or asks for patience. */
const PASSING = new Set([408, 425, 429]);

function refusal(status: number, error: unknown): OAuthFault {
  const facts =
    typeof error === 'string' && /^[\w -]{1,100}$/.test(error) ? `${status} ${error}` : `${status}`;
  if (status >= 500 || PASSING.has(status))
    return new OAuthFault(
      'OAUTH_PROVIDER_UNAVAILABLE',
      `the provider at KAFKA_OAUTH_TOKEN_ENDPOINT gives no token now (${facts})`,
    );
  const isOfClient =
    status === 401 || status === 403 || error === 'invalid_client' || error === 'unauthorized_client';
  const about = ABOUT.get(error) ?? (isOfClient ? CREDENTIALS : undefined);
  const what = about === undefined ? 'gives no token' : `does not accept ${about}`;
  return new OAuthFault(
    'OAUTH_CLIENT_REFUSED',
    `the provider at KAFKA_OAUTH_TOKEN_ENDPOINT ${what} (${facts})`,
  );
}

/** Empty when it is no object: a page of a proxy, for example. */
function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** fetch hides the reason in `cause`. */
function reasonOf(error: unknown): string {
  const { name, code, cause, message } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError') return 'no answer in time';
  if (typeof code === 'string') return code;
  return cause === undefined ? message : reasonOf(cause);
}
