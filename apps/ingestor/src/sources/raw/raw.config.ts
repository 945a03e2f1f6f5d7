import { MessageKeyConfig } from '#common/config/message-key.config.js';

/** The brokers that raw topics are read from, and the secret that proves what stands there: those of every service. */
export class RawConfig extends MessageKeyConfig {}
