/** The configuration of the CloudWatch agent on a host whose services write log files. */
import { fileURLToPath } from 'node:url';
import { SERVICES, STREAMS, logGroupName } from './names.js';

/** Each process has a folder of its own below this one, named as its service: `SLUICE_LOG_FOLDER=/var/log/sluice/loader`. */
const FOLDER = '/var/log/sluice';

/**
 * Of each service the file with all lines. The file of errors alone holds the same lines again, and would count them twice.
 * Of the numbered files that a pattern names the agent follows the one that was written last.
 * @param {string} environment as of the stack
 */
export function agentConfiguration(environment) {
  return {
    logs: {
      logs_collected: {
        files: {
          collect_list: SERVICES.map((service) => ({
            file_path: `${FOLDER}/${service}/${service}.*.log`,
            log_group_name: logGroupName(environment),
            log_stream_name: STREAMS.file,
            timestamp_format: '%Y-%m-%dT%H:%M:%S.%f',
            timezone: 'UTC',
          })),
        },
      },
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const environment = process.argv[2] ?? 'production';
  process.stdout.write(`${JSON.stringify(agentConfiguration(environment), null, 2)}\n`);
}
