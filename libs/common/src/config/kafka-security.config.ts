import { Matches } from 'class-validator';
import type { SASLOptions } from 'kafkajs';
import { type CrossChecked, Variable } from './environment.js';

/** What a Kafka client needs to log in, besides addresses. */
export interface KafkaSecurity {
  readonly sasl?: SASLOptions;
}

const NO_CONTROLS = /^\P{Cc}*$/u;

/** How Kafka clients authenticate: the same for every service and for the command line. */
export class KafkaSecurityConfig implements CrossChecked {
  @Variable('KAFKA_SASL_MECHANISM', 'How to log in to the brokers; without it there is no login')
  @Matches(/^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)?$/, {
    message: 'saslMechanism must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512',
  })
  saslMechanism: '' | 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' = '';

  @Variable(
    'KAFKA_USERNAME',
    'Name for the login to the brokers; ACLs name it as the principal `User:<name>`',
  )
  // PLAIN separates name and password by NUL.
  @Matches(NO_CONTROLS, { message: 'kafkaUsername must hold no control characters' })
  kafkaUsername: string = '';

  @Variable('KAFKA_PASSWORD', 'Password for the login to the brokers', { secret: true })
  @Matches(NO_CONTROLS, { message: 'kafkaPassword must hold no control characters' })
  kafkaPassword: string = '';

  /** What `createKafka` takes besides addresses; nothing when no login is set. */
  kafkaSecurity(): KafkaSecurity {
    const { kafkaUsername: username, kafkaPassword: password } = this;
    // The names that kafkajs has for its mechanisms are types of their own.
    switch (this.saslMechanism) {
      case '':
        return {};
      case 'PLAIN':
        return { sasl: { mechanism: 'plain', username, password } };
      case 'SCRAM-SHA-256':
        return { sasl: { mechanism: 'scram-sha-256', username, password } };
      case 'SCRAM-SHA-512':
        return { sasl: { mechanism: 'scram-sha-512', username, password } };
    }
  }

  /** A login of which a part is missing would be found only by the brokers, or not at all. */
  crossCheck(): readonly string[] {
    const given = [
      ['KAFKA_USERNAME', this.kafkaUsername],
      ['KAFKA_PASSWORD', this.kafkaPassword],
    ] as const;
    return this.saslMechanism === ''
      ? given
          .filter(([, value]) => value !== '')
          .map(([name]) => `${name} is set without KAFKA_SASL_MECHANISM`)
      : given
          .filter(([, value]) => value === '')
          .map(([name]) => `KAFKA_SASL_MECHANISM is set without ${name}`);
  }
}
