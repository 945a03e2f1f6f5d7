import { IsBrokerList, itemsOf } from './checks.js';
import { Variable } from './environment.js';
import { KafkaSecurityConfig } from './kafka-security.config.js';

/** Where the brokers are, and how to log in to them. */
export class KafkaConfig extends KafkaSecurityConfig {
  @Variable('KAFKA_BROKERS', 'Brokers as host:port, separated by commas')
  @IsBrokerList()
  kafkaBrokers: string = '127.0.0.1:9092';

  brokers(): string[] {
    return itemsOf(this.kafkaBrokers);
  }

  override crossCheck(): readonly string[] {
    return [...super.crossCheck(), ...this.plainProblems(this.brokers())];
  }
}
