/**
 * The closed list of error codes. `retryable` belongs to the code, not to the caller's guess;
 * `action` says what the operator or user can do. `docs/errors.md` lists exactly these (a test compares).
 */
interface ErrorCodeFacts {
  readonly retryable: boolean;
  readonly meaning: string;
  readonly action: string;
}

export const ERROR_CODES = {
  SETTING_INVALID: {
    retryable: false,
    meaning: 'A setting is missing, malformed, or contradicts another one.',
    action: 'Correct the named environment variable; `sluice env --settings` lists them all.',
  },
  SCHEMA_OUTDATED: {
    retryable: false,
    meaning: 'The control tables are older than this service.',
    action: 'Run `sluice migrate`, then start the service again.',
  },
  DATASET_INVALID: {
    retryable: false,
    meaning: 'A dataset folder does not fit the interface, or clashes with another one.',
    action: 'Correct the folder that the message names; see docs/add-a-dataset.md.',
  },
  DATASET_UNKNOWN: {
    retryable: false,
    meaning: 'No dataset of this name is registered.',
    action: 'Choose one that `sluice datasets` lists.',
  },
  JOB_UNKNOWN: {
    retryable: false,
    meaning: 'No job has this id.',
    action: 'Choose one that `sluice jobs` lists.',
  },
  JOB_ACTIVE: {
    retryable: false,
    meaning: 'Another job of this dataset is active.',
    action: 'Wait for it, watch it, or cancel it; the message names it.',
  },
  JOB_TRANSITION_REFUSED: {
    retryable: false,
    meaning: 'The job is not in a state that allows this change.',
    action: 'Look at the job with `sluice job <id>`.',
  },
  JOB_LOST: {
    retryable: false,
    meaning: 'Another process has claimed the job, or it was ended.',
    action: 'Nothing: the process that holds the job goes on with it.',
  },
  REQUEST_INVALID: {
    retryable: false,
    meaning: 'Fields of the request are wrong.',
    action: 'Correct the listed fields.',
  },
  MESSAGE_INVALID: {
    retryable: false,
    meaning: 'A Kafka message lacks a header, has an unknown version, or does not fit its checksum.',
    action: 'Find who else writes to the topic; the message names topic, partition and offset.',
  },
  MESSAGE_TOO_LARGE: {
    retryable: false,
    meaning: 'Kafka refused a message as too large.',
    action: 'Compare max.message.bytes of the topic and message.max.bytes of the brokers with docs/configuration.md.',
  },
  TOPIC_MISSING: {
    retryable: false,
    meaning: 'A topic that this service reads or writes does not exist.',
    action: 'Run `sluice migrate`: it creates the topics.',
  },
  BROKER_UNAVAILABLE: {
    retryable: true,
    meaning: 'Kafka cannot be reached or did not acknowledge.',
    action: 'Check KAFKA_BROKERS and the brokers; work goes on by itself afterwards.',
  },
  DATABASE_UNAVAILABLE: {
    retryable: true,
    meaning: 'PostgreSQL cannot be reached, is shutting down, or has no room.',
    action: 'Check DATABASE_URL and the server; work goes on by itself afterwards.',
  },
  USAGE_INVALID: {
    retryable: false,
    meaning: 'The command line cannot be understood, or asks for something that is not there.',
    action: 'Correct the command; `sluice <command> --help` shows an example.',
  },
  SYSTEM_UNREACHABLE: {
    retryable: true,
    meaning: 'The CLI cannot reach the running system.',
    action: 'Start it with `sluice up`, or name a running one by SLUICE_INGESTOR_URL and SLUICE_TRACKER_URL.',
  },
  QUESTION_DECLINED: {
    retryable: false,
    meaning: 'A question was not answered with "yes".',
    action: 'Nothing was changed; run the command again and answer "yes", or pass --yes.',
  },
  OUTPUT_UNWRITABLE: {
    retryable: false,
    meaning: 'The CLI cannot write the file that it was asked for.',
    action: 'Choose a folder that exists, is writable and has room.',
  },
  REQUIREMENT_MISSING: {
    retryable: false,
    meaning: 'Something that a local system needs from this machine is missing, too old, or out of reach.',
    action: 'Do what the message says; `sluice doctor` checks everything.',
  },
  LOCAL_START_FAILED: {
    retryable: false,
    meaning: 'A process of the local system did not start or did not become ready.',
    action: 'Read the log that the message names; `sluice doctor` checks the machine.',
  },
  INTERNAL: {
    retryable: false,
    meaning: 'Something that should be impossible happened.',
    action: 'Report it, with the log around it.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

export function errorFacts(code: ErrorCode): ErrorCodeFacts {
  return ERROR_CODES[code];
}
