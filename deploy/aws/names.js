/** Names that the stack, the configuration of the agent and their tests share. */

/** The services of Sluice; each logs into files of its own name. */
export const SERVICES = ['ingestor', 'validator', 'loader', 'tracker'];

/** @param {string} environment such as `production` */
export function logGroupName(environment) {
  return `/sluice/${environment}`;
}

/** Standard output, where a platform ships it; and the files of SLUICE_LOG_FOLDER, where the agent does. */
export const STREAMS = { console: 'console', file: 'file' };
