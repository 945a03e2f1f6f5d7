import { IsString, Matches } from '../validation/class-validator.js';
import { isSafeForSecrets } from '../access/loopback.js';
import { Variable } from './environment.js';

/** A login by tokens that a provider gives for the credentials of a client. */
export interface OAuthLogin {
  readonly mechanism: 'oauthbearer';
  readonly tokenEndpoint: string;
  readonly clientId: string;
  /** As it is now. */
  readonly clientSecret: string;
  /** Empty where the provider chooses. */
  readonly scope: string;
  /** Empty where the provider chooses. */
  readonly audience: string;
}

/** What RFC 6749 allows in a scope and in credentials. */
const PRINTABLE = /^[\x20-\x7e]*$/;

/** How a Kafka client gets tokens from an OAuth or OIDC provider, for KAFKA_SASL_MECHANISM=OAUTHBEARER. */
export class KafkaOAuthConfig {
  @Variable(
    'KAFKA_OAUTH_TOKEN_ENDPOINT',
    'With KAFKA_SASL_MECHANISM=OAUTHBEARER: https address at which the provider gives tokens',
  )
  @IsString()
  oauthTokenEndpoint: string = '';

  @Variable('KAFKA_OAUTH_CLIENT_ID', 'Name of this client at the provider')
  @Matches(PRINTABLE, { message: 'oauthClientId must be printable ASCII' })
  oauthClientId: string = '';

  @Variable('KAFKA_OAUTH_CLIENT_SECRET', 'Secret of this client at the provider', {
    secret: true,
    reread: true,
  })
  @Matches(PRINTABLE, { message: 'oauthClientSecret must be printable ASCII' })
  oauthClientSecret: string = '';

  @Variable('KAFKA_OAUTH_SCOPE', 'Scopes to ask the provider for, separated by blanks')
  @Matches(PRINTABLE, { message: 'oauthScope must be printable ASCII' })
  oauthScope: string = '';

  @Variable('KAFKA_OAUTH_AUDIENCE', 'Audience to ask the provider for, as the parameter `audience`')
  @Matches(PRINTABLE, { message: 'oauthAudience must be printable ASCII' })
  oauthAudience: string = '';

  protected oauthLogin(): OAuthLogin {
    const secretNow = (): string => this.oauthClientSecret;
    return {
      mechanism: 'oauthbearer',
      tokenEndpoint: this.oauthTokenEndpoint,
      clientId: this.oauthClientId,
      get clientSecret() {
        return secretNow();
      },
      scope: this.oauthScope,
      audience: this.oauthAudience,
    };
  }

  /** Settings of this login by name; the last two may be left out. */
  protected oauthSettings(): readonly (readonly [name: string, value: string, isOptional?: true])[] {
    return [
      ['KAFKA_OAUTH_TOKEN_ENDPOINT', this.oauthTokenEndpoint],
      ['KAFKA_OAUTH_CLIENT_ID', this.oauthClientId],
      ['KAFKA_OAUTH_CLIENT_SECRET', this.oauthClientSecret],
      ['KAFKA_OAUTH_SCOPE', this.oauthScope, true],
      ['KAFKA_OAUTH_AUDIENCE', this.oauthAudience, true],
    ];
  }

  /** The secret travels to the endpoint as it is. */
  protected endpointProblems(): readonly string[] {
    const endpoint = this.oauthTokenEndpoint;
    return endpoint === '' || (isSafeForSecrets(endpoint) && !/[@#]/.test(endpoint))
      ? []
      : [
          'KAFKA_OAUTH_TOKEN_ENDPOINT must be an https address without credentials and fragment; http is for this machine alone',
        ];
  }
}
