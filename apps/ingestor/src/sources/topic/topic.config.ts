import { KafkaConfig } from '#common/config/kafka.config.js';

/** The brokers that topics are read from: those of every service. */
export class TopicConfig extends KafkaConfig {}
