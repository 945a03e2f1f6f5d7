import { X509Certificate, createPrivateKey } from 'node:crypto';
import { IsIn, IsString, Matches } from '../validation/class-validator.js';
import type { SASLOptions } from 'kafkajs';
import { isLoopbackHost } from '../access/loopback.js';
import { works } from './checks.js';
import { type CrossChecked, Variable } from './environment.js';
import { KafkaOAuthConfig, type OAuthLogin } from './kafka-oauth.config.js';

/** PEM texts, as they are now. */
export interface TlsTexts {
  /** Undefined for the authorities that Node.js trusts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

type PasswordLogin = Extract<SASLOptions, { readonly username: string }>;

/** What a Kafka client needs besides addresses. Password, secret and certificates are read again for each connection. */
export interface KafkaSecurity {
  readonly sasl?: PasswordLogin | OAuthLogin;
  /** Connections are encrypted, and the broker's certificate and host name verified. */
  readonly tls?: () => TlsTexts;
}

const NO_CONTROLS = /^\P{Cc}*$/u;

/** As kafkajs names them. */
const MECHANISMS = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const;

/** How Kafka clients encrypt and authenticate: the same for every service and for the command line. */
export class KafkaSecurityConfig extends KafkaOAuthConfig implements CrossChecked {
  @Variable(
    'KAFKA_TLS',
    'on: connections to the brokers are encrypted, and the brokers’ certificates verified',
  )
  @IsIn(['on', 'off'])
  kafkaTls: 'on' | 'off' = 'off';

  @Variable(
    'KAFKA_TLS_CA',
    'Certificates of the authorities that the brokers’ certificates come from, as PEM; without it those that Node.js trusts',
    { reread: true },
  )
  @IsString()
  kafkaTlsCa: string = '';

  @Variable('KAFKA_TLS_CERTIFICATE', 'Certificate that this client shows to the brokers, as PEM', {
    reread: true,
  })
  @IsString()
  kafkaTlsCertificate: string = '';

  @Variable('KAFKA_TLS_KEY', 'Private key of KAFKA_TLS_CERTIFICATE, as PEM, not encrypted', {
    secret: true,
    reread: true,
  })
  @IsString()
  kafkaTlsKey: string = '';

  @Variable(
    'KAFKA_PLAIN_WITHOUT_TLS',
    'allow or deny: may PLAIN and OAUTHBEARER send password or token unencrypted to brokers on other machines',
  )
  @IsIn(['allow', 'deny'])
  plainWithoutTls: 'allow' | 'deny' = 'deny';

  @Variable('KAFKA_SASL_MECHANISM', 'How to log in to the brokers; without it there is no login')
  @Matches(/^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER)?$/, {
    message: 'saslMechanism must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER',
  })
  saslMechanism: '' | keyof typeof MECHANISMS | 'OAUTHBEARER' = '';

  @Variable(
    'KAFKA_USERNAME',
    'Name for the login to the brokers; ACLs name it as the principal `User:<name>`',
  )
  // PLAIN separates name and password by NUL.
  @Matches(NO_CONTROLS, { message: 'kafkaUsername must hold no control characters' })
  kafkaUsername: string = '';

  @Variable('KAFKA_PASSWORD', 'Password for the login to the brokers', { secret: true, reread: true })
  @Matches(NO_CONTROLS, { message: 'kafkaPassword must hold no control characters' })
  kafkaPassword: string = '';

  /** What `createKafka` takes besides addresses; nothing when no login is set. */
  kafkaSecurity(): KafkaSecurity {
    const sasl = this.login();
    return {
      ...(sasl === undefined ? {} : { sasl }),
      ...(this.kafkaTls === 'off' ? {} : { tls: () => this.tlsTexts() }),
    };
  }

  private login(): PasswordLogin | OAuthLogin | undefined {
    if (this.saslMechanism === '') return undefined;
    if (this.saslMechanism === 'OAUTHBEARER') return this.oauthLogin();
    const passwordNow = (): string => this.kafkaPassword;
    return {
      mechanism: MECHANISMS[this.saslMechanism],
      username: this.kafkaUsername,
      get password() {
        return passwordNow();
      },
    };
  }

  private tlsTexts(): TlsTexts {
    const { kafkaTlsCa: ca, kafkaTlsCertificate: cert, kafkaTlsKey: key } = this;
    return { ...(ca !== '' && { ca }), ...(cert !== '' && { cert }), ...(key !== '' && { key }) };
  }

  /** A login of which a part is missing would be found only by the brokers, or not at all. */
  crossCheck(): readonly string[] {
    return [...this.loginProblems(), ...this.endpointProblems(), ...this.tlsProblems()];
  }

  /** What the addresses forbid: PLAIN sends the password as it is, and OAUTHBEARER the token. */
  protected plainProblems(brokers: readonly string[]): readonly string[] {
    const sent = { PLAIN: 'KAFKA_PASSWORD', OAUTHBEARER: 'tokens' }[this.saslMechanism as string];
    const isOpen = sent !== undefined && this.kafkaTls === 'off' && this.plainWithoutTls === 'deny';
    return isOpen && !brokers.every((broker) => isLoopbackHost(broker.replace(/:\d+$/, '')))
      ? [
          `KAFKA_SASL_MECHANISM ${this.saslMechanism} would send ${sent} unencrypted to another machine: set KAFKA_TLS to on, or KAFKA_PLAIN_WITHOUT_TLS to allow`,
        ]
      : [];
  }

  private tlsProblems(): readonly string[] {
    const texts = [
      ['KAFKA_TLS_CA', this.kafkaTlsCa],
      ['KAFKA_TLS_CERTIFICATE', this.kafkaTlsCertificate],
      ['KAFKA_TLS_KEY', this.kafkaTlsKey],
    ] as const;
    const given = texts.filter(([, text]) => text !== '').map(([name]) => name);
    if (this.kafkaTls === 'off') return given.map((name) => `${name} is set without KAFKA_TLS`);
    const { kafkaTlsCa: ca, kafkaTlsCertificate: cert, kafkaTlsKey: key } = this;
    if ((cert === '') !== (key === ''))
      return [
        `${cert === '' ? 'KAFKA_TLS_KEY' : 'KAFKA_TLS_CERTIFICATE'} is set without ${cert === '' ? 'KAFKA_TLS_CERTIFICATE' : 'KAFKA_TLS_KEY'}`,
      ];
    const unreadable = [
      ...(ca !== '' && !works(() => new X509Certificate(ca)) ? ['KAFKA_TLS_CA is no PEM certificate'] : []),
      ...(cert !== '' && !works(() => new X509Certificate(cert))
        ? ['KAFKA_TLS_CERTIFICATE is no PEM certificate']
        : []),
      ...(key !== '' && !works(() => createPrivateKey(key))
        ? ['KAFKA_TLS_KEY is no PEM key, or an encrypted one']
        : []),
    ];
    if (unreadable.length > 0 || cert === '') return unreadable;
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
      ? []
      : ['KAFKA_TLS_KEY is not the key of KAFKA_TLS_CERTIFICATE'];
  }

  private loginProblems(): readonly string[] {
    const { saslMechanism: mechanism } = this;
    const ofPassword = [
      ['KAFKA_USERNAME', this.kafkaUsername],
      ['KAFKA_PASSWORD', this.kafkaPassword],
    ] as const;
    const ofTokens = this.oauthSettings();
    const needed = mechanism === '' ? [] : mechanism === 'OAUTHBEARER' ? ofTokens : ofPassword;
    const others = [ofPassword, ofTokens].filter((settings) => settings !== needed).flat();
    const way =
      mechanism === '' ? 'without KAFKA_SASL_MECHANISM' : `and KAFKA_SASL_MECHANISM is ${mechanism}`;
    return [
      ...needed
        .filter(([, value, isOptional]) => value === '' && isOptional !== true)
        .map(([name]) => `KAFKA_SASL_MECHANISM is set without ${name}`),
      ...others.filter(([, value]) => value !== '').map(([name]) => `${name} is set ${way}`),
    ];
  }
}
