import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, type JWK, exportJWK, generateKeyPair } from 'jose';

/** Not as a literal, by which its types would be looked for. */
const PROVIDER: string = 'oidc-provider';

/** Of oidc-provider, which brings no types. */
type Callback = Parameters<typeof createServer>[1];
type Provider = new (issuer: string, configuration: object) => { readonly callback: () => Callback };
interface Context {
  readonly oidc: { readonly body?: { readonly audience?: string } };
}

export interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function signingKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' } };
}

/** A client that may ask for tokens for itself. */
export interface OidcClient {
  readonly id: string;
  readonly secret: string;
}

/**
 * A provider that gives its client tokens for whatever it asks for (by `resource` or `audience`), with the roles `something`, `ops`
 * and `read` in the claim `realm.roles`. It writes its advice against what it keeps in memory to the console.
 */
export async function startOidcProvider(
  keys: readonly SigningKey[],
  client: OidcClient,
  port = 0,
): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await provide(server, keys, client);
  return server;
}

/** Its keys and its client are these from now on. */
export async function provide(
  server: Server,
  keys: readonly SigningKey[],
  client: OidcClient,
): Promise<void> {
  const { default: Provider } = (await import(PROVIDER)) as { default: Provider };
  const provider = new Provider(issuerOf(server), {
    jwks: { keys: keys.map(({ jwk }) => jwk) },
    clients: [
      {
        ...{ client_id: client.id, client_secret: client.secret, grant_types: ['client_credentials'] },
        ...{ redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256' },
      },
    ],
    clientAuthMethods: ['client_secret_basic'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (context: Context) => context.oidc.body?.audience,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          ...{ scope: 'read ops', audience: resource, accessTokenFormat: 'jwt' },
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    extraTokenClaims: () => ({ realm: { roles: ['something', 'ops', 'read'] } }),
  });
  server.removeAllListeners('request');
  server.on('request', provider.callback() as () => void);
}

export function issuerOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function stopServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
}
