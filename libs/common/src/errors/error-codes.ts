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
