/** Injection tokens of what every service has; pino's Logger and kafkajs's Kafka are types, not classes. */
export const LOGGER = Symbol('pino logger');
export const KAFKA = Symbol('kafkajs client');
export const PG_POOL = Symbol('pg pool');
/** Null while traces are off. */
export const TRACING = Symbol('tracing');
