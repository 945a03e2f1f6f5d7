import { Matches } from '../validation/class-validator.js';
import { Variable } from './environment.js';
import { KafkaConfig } from './kafka.config.js';

/** The brokers, and the secret that proves messages to be of this deployment. */
export class MessageKeyConfig extends KafkaConfig {
  @Variable(
    'SLUICE_MESSAGE_KEY',
    'Secret of this deployment, the same for all its services: messages that were not made with it are refused. Without it no message is sealed',
    { secret: true },
  )
  @Matches(/^(.{16,1024})?$/s, { message: 'messageKey must have at least 16 characters' })
  messageKey: string = '';
}
