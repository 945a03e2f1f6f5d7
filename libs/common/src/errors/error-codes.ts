import { ACCESS_ERROR_CODES } from './access-error-codes.js';
import type { ErrorCodeFacts } from './error-code-facts.js';
import { REPLAY_ERROR_CODES } from './replay-error-codes.js';
import { SOURCE_ERROR_CODES } from './source-error-codes.js';

/**
 * The closed list of error codes. The code decides whether a retry can help, not the caller's guess;
 * `action` is what the operator or user can do. `docs/errors.md` lists exactly these (a test compares).
 */
export const ERROR_CODES = {
  SETTING_INVALID: {
    retryable: false,
    meaning: 'A setting is missing, malformed, or contradicts another one.',
    action: 'Correct the named environment variable; `sluice env --settings` lists them all.',
  },
  ...ACCESS_ERROR_CODES,
  PORT_UNAVAILABLE: {
    retryable: true,
    meaning:
      'A service cannot listen on its port: another program has it, or the address is not this machine’s.',
    action: 'End the other program, or set SLUICE_PORT and SLUICE_HOST; then start the service again.',
  },
  SCHEMA_OUTDATED: {
    retryable: false,
    meaning: 'The control tables are older than this service.',
    action: 'Run `sluice migrate`, then start the service again.',
  },
  SCHEMA_NEWER: {
    retryable: false,
    meaning: 'The control tables belong to a newer build; this one could damage them.',
    action: 'Run the newer build, or restore a backup of the database from before the migration.',
  },
  MIGRATION_LOCKED: {
    retryable: true,
    meaning: 'Another migration holds the lock.',
    action: 'Wait for it and run the command again; the message says which session holds the lock.',
  },
  MIGRATION_REFUSED: {
    retryable: false,
    meaning: 'PostgreSQL refused a SQL file of a dataset. Other datasets were migrated.',
    action: 'Correct the file that the message names, and run `sluice migrate` again.',
  },
  DRAFT_CHANGED: {
    retryable: false,
    meaning: 'A dataset without migrations needs other tables than before, and its tables hold rows.',
    action:
      'Drop them and make them again with `sluice dataset recreate`, or keep them and write a migration with `sluice dataset migration`.',
  },
  TARGET_EXISTS: {
    retryable: false,
    meaning: 'A dataset’s tables exist, but there is no record that its migrations have run.',
    action:
      'If they belong to the dataset, run `sluice migrate --adopt <dataset>`; otherwise rename or drop them.',
  },
  DATABASE_UNSUITABLE: {
    retryable: false,
    meaning:
      'The database cannot hold what Sluice loads: its encoding is not UTF8, or the server is too old.',
    action: 'Create a database with ENCODING UTF8 on PostgreSQL 15 or newer, and set DATABASE_URL to it.',
  },
  DATABASE_REFUSED: {
    retryable: false,
    meaning: 'PostgreSQL refused a login, a setting or an operation for lack of a right.',
    action: 'Do what the message says, then try again.',
  },
  DATASET_INVALID: {
    retryable: false,
    meaning: 'A dataset folder does not match the interface, or conflicts with another one.',
    action: 'Correct the folder that the message names; see docs/add-a-dataset.md.',
  },
  DATASET_UNKNOWN: {
    retryable: false,
    meaning: 'No dataset of this name is registered.',
    action: 'Choose one that `sluice datasets` lists.',
  },
  NO_INBOX: {
    retryable: false,
    meaning: 'The dataset has no inbox, so no producer can send records to it.',
    action:
      'Add `inbox: {}` to its defineDataset, build, run `sluice migrate`, and start the services again.',
  },
  JOB_UNKNOWN: {
    retryable: false,
    meaning: 'No job has this id.',
    action: 'Choose one that `sluice jobs` lists.',
  },
  DEAD_LETTER_UNKNOWN: {
    retryable: false,
    meaning: 'No dead letter has this job and record number.',
    action: 'Choose one that `sluice dead-letters` lists.',
  },
  DEAD_LETTER_DECIDED: {
    retryable: false,
    meaning: 'The dead letter is not open: it was resubmitted, or an operator gave it up.',
    action: 'Look at it with `sluice dead-letters show <id>`.',
  },
  EDIT_REFUSED: {
    retryable: false,
    meaning: 'What the editor has stored cannot be the correction of the record.',
    action: 'Do what the message says, and edit it again; the record as it came is kept.',
  },
  IMPORT_INVALID: {
    retryable: false,
    meaning: 'The file is no edited export of dead letters.',
    action:
      'Correct the line that the message names, and import the file again: rows that are taken already change nothing.',
  },
  TRACE_BUSY: {
    retryable: true,
    meaning: 'As many traces are under way as the tracker makes at a time.',
    action: 'Try again when one of them has ended; `--job`, `--from` and `--to` make a trace shorter.',
  },
  TRACKER_RUNNING: {
    retryable: true,
    meaning: 'A tracker runs, and what a rebuild empties is its work. Nothing was changed.',
    action: 'Stop every tracker, run `sluice rebuild` again, and start them afterwards.',
  },
  PARKED_MESSAGE_UNKNOWN: {
    retryable: false,
    meaning: 'No message of this topic, partition and offset was parked.',
    action: 'Choose one that `sluice parked` lists.',
  },
  PARKED_MESSAGE_DECIDED: {
    retryable: false,
    meaning: 'The parked message was already published again or skipped.',
    action: 'Look at it with `sluice parked`.',
  },
  JOB_ACTIVE: {
    retryable: false,
    meaning:
      'An active job of the dataset excludes this one: one of the two replaces the tables, or both read the same source.',
    action: 'Wait for the active job, watch it, or cancel it; the message names it.',
  },
  JOB_TRANSITION_REFUSED: {
    retryable: false,
    meaning: 'The job is not in a state that allows this change.',
    action: 'Look at the job with `sluice job <id>`.',
  },
  JOB_NOTHING_LOADED: {
    retryable: false,
    meaning: 'The source was read to its end and none of its records was accepted, so nothing was loaded.',
    action:
      'Look at the findings with `sluice dead-letters --job <id>`, and check that the source is the right one.',
  },
  JOB_PAUSED: {
    retryable: true,
    meaning: 'The job is paused; its batches wait.',
    action:
      'Look at the reason with `sluice job <id>`; then run `sluice continue <id>` or `sluice cancel <id>`.',
  },
  JOB_CANCELLED: {
    retryable: false,
    meaning: 'The job was cancelled. Nothing of it became visible.',
    action: 'Start a new job with `sluice run`.',
  },
  JOB_BREAKER: {
    retryable: false,
    meaning: 'Too many of the records loaded lately were refused, so the job was paused.',
    action:
      'Look at the findings and at `sluice dead-letters --job <id>`; then run `sluice continue <id>` or `sluice cancel <id>`.',
  },
  JOB_SCHEMA: {
    retryable: false,
    meaning: 'A table no longer fits the contract, or permissions are missing, so the job was paused.',
    action: 'Fix the table or the grants, then run `sluice continue <id>`; or run `sluice cancel <id>`.',
  },
  JOB_FAULT: {
    retryable: false,
    meaning:
      'An error that is not a record’s fault and not known to pass occurred again and again, so the job was paused.',
    action:
      'Remove the cause that the message names, then run `sluice continue <id>`, which retries; or run `sluice cancel <id>`. If the cause is not on your side, report it.',
  },
  JOB_NOTHING_TO_RESUME: {
    retryable: false,
    meaning: 'There is nothing to resume: no such job exists, or this one has nothing left to do.',
    action: 'Nothing: look at the job with `sluice job <id>`, or start one with `sluice run`.',
  },
  JOB_RESUME_REFUSED: {
    retryable: false,
    meaning:
      'The job cannot be resumed: its work was discarded, or a newer job of the dataset has made it pointless.',
    action: 'Start a new job with `sluice run`.',
  },
  BATCHES_MISSING: {
    retryable: false,
    meaning: 'Batches of the job are neither loaded nor still in the topics, so it cannot complete.',
    action: 'Run `sluice resume <id>`: the source is read again and what is missing is published again.',
  },
  EXISTING_KEYS: {
    retryable: false,
    meaning: 'Records have keys that are already in the table, and the job was set to fail in that case.',
    action: 'Look at the keys; run again with `--existing supersede`, or in another mode.',
  },
  JOB_LOST: {
    retryable: false,
    meaning: 'Another process has claimed the job, or it was ended.',
    action: 'Nothing: the process that owns the job continues it.',
  },
  STREAM_TRANSITION_REFUSED: {
    retryable: false,
    meaning: 'The stream is not in a state that allows this change.',
    action: 'Look at the stream with `sluice stream <dataset>`.',
  },
  STREAM_BREAKER: {
    retryable: false,
    meaning: 'Too many of the latest records of the stream were refused, so the stream was paused.',
    action:
      'Look at the findings and at `sluice dead-letters --dataset <dataset>`; then run `sluice stream <dataset> resume`.',
  },
  STREAM_JOB_STANDS: {
    retryable: false,
    meaning: 'A job of the stream is paused or has failed, so the stream was paused.',
    action:
      'Look at the job that the message names; `sluice stream <dataset> resume` continues or resumes it, and the stream with it. To leave it out, run `sluice cancel <id>` or `sluice discard <id>` first.',
  },
  STREAM_FAULT: {
    retryable: false,
    meaning: 'A stream met an error that no waiting ends, so it was paused.',
    action: 'Remove the cause that the message names, then run `sluice stream <dataset> resume`.',
  },
  INBOX_EXPIRED: {
    retryable: false,
    meaning: 'Messages were deleted from the inbox before the stream had read them.',
    action:
      'Have their producer send them again if it can. `sluice stream <dataset> resume --skip-lost` continues behind them. Give the topic a longer retention.',
  },
  INBOX_RECREATED: {
    retryable: false,
    meaning: 'The inbox is not the topic that the stream has read: it was deleted and created again.',
    action:
      'Make sure that this was meant. `sluice stream <dataset> resume --skip-lost` reads the new topic from its beginning.',
  },
  REQUEST_INVALID: {
    retryable: false,
    meaning: 'Fields of the request are wrong.',
    action: 'Correct the listed fields.',
  },
  REQUEST_FORBIDDEN: {
    retryable: false,
    meaning:
      'The request used a host name that does not belong to the service, or came from a page of another site.',
    action:
      'Use the address that the service listens on, or add the host to SLUICE_ALLOWED_HOSTS; see docs/security.md.',
  },
  SOURCE_REFUSED: {
    retryable: false,
    meaning: 'The header of the source is not what the dataset expects, so nothing was loaded.',
    action: 'Read the findings; get the file in the layout that the dataset’s README describes.',
  },
  DATASET_CODE_FAILED: {
    retryable: false,
    meaning:
      'Code of a dataset (a kind, a rule, its prologue) threw on a record or on the header of a source.',
    action:
      'Correct the code of the property that the message names for the record that it names; then run `sluice resume <id>`.',
  },
  CONTRACT_MISMATCH: {
    retryable: false,
    meaning: 'A job was started with another version of its dataset’s contract than this process has.',
    action:
      'Run one version of Sluice everywhere, then run `sluice continue <id>`: the job starts over from its first batch; or run `sluice cancel <id>`.',
  },
  BATCH_DIFFERS: {
    retryable: false,
    meaning:
      'A batch of the job arrived a second time with different content, and Sluice cannot know which one is right.',
    action:
      'Find out who else writes to the topics, or whether the source or the dataset has changed; then run `sluice resume <id>`: the job starts over from its first batch.',
  },
  MESSAGE_INVALID: {
    retryable: false,
    meaning: 'A Kafka message lacks a header, has an unknown version, or does not match its checksum.',
    action: 'Find out who else writes to the topic; the message names topic, partition and offset.',
  },
  MESSAGE_EXPIRED: {
    retryable: false,
    meaning: 'Retention has removed a message that is still needed.',
    action: 'Raise retention.ms of the topic; cancel the job and start it again.',
  },
  MESSAGE_TOO_LARGE: {
    retryable: false,
    meaning: 'Kafka refused a message as too large.',
    action:
      'Compare max.message.bytes of the topic and message.max.bytes of the brokers with docs/configuration.md.',
  },
  TOPIC_MISSING: {
    retryable: false,
    meaning: 'A topic that this service reads or writes does not exist.',
    action: 'Run `sluice migrate`: it creates the topics.',
  },
  PARTITION_MISSING: {
    retryable: false,
    meaning: 'A topic has fewer partitions than when the job began: it was deleted and created again.',
    action: 'Run `sluice resume <id>` or start the job again: it uses the partitions that exist now.',
  },
  BROKER_UNAVAILABLE: {
    retryable: true,
    meaning: 'Kafka cannot be reached or did not acknowledge.',
    action: 'Check KAFKA_BROKERS and the brokers; work resumes by itself afterwards.',
  },
  BROKER_FAULT: {
    retryable: false,
    meaning: 'Kafka refused a request for a reason that does not pass by itself, or for an unknown reason.',
    action:
      'Look at the error, the topics, the permissions and the login; work waits and resumes by itself afterwards.',
  },
  DATABASE_UNAVAILABLE: {
    retryable: true,
    meaning: 'PostgreSQL cannot be reached, is shutting down, or is out of resources.',
    action: 'Check DATABASE_URL and the server; work resumes by itself afterwards.',
  },
  USAGE_INVALID: {
    retryable: false,
    meaning: 'The command line cannot be understood, or asks for something that does not exist.',
    action: 'Correct the command; `sluice <command> --help` shows an example.',
  },
  SYSTEM_UNREACHABLE: {
    retryable: true,
    meaning: 'The CLI cannot reach the running system.',
    action: 'Start it with `sluice up`, or set SLUICE_INGESTOR_URL and SLUICE_TRACKER_URL to a running one.',
  },
  QUESTION_DECLINED: {
    retryable: false,
    meaning: 'A question was not answered with "yes".',
    action: 'Nothing was changed; run the command again and answer "yes", or pass --yes.',
  },
  CHECK_FAILED: {
    retryable: false,
    meaning: '`sluice check` found records in the file that a job would refuse.',
    action: 'Correct the records at the lines that are listed, then check the file again.',
  },
  DETACHED: {
    retryable: false,
    meaning: 'Ctrl-C ended the command. A job that it had started continues.',
    action: 'Follow the job again with `sluice watch <id>`, or end it with `sluice cancel <id>`.',
  },
  OUTPUT_UNWRITABLE: {
    retryable: false,
    meaning: 'The CLI cannot write the file that it was asked for.',
    action: 'Choose a folder that exists, is writable and has free space.',
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
  ...REPLAY_ERROR_CODES,
  ...SOURCE_ERROR_CODES,
  DATABASE_FAULT: {
    retryable: false,
    meaning: 'PostgreSQL refused a batch for a reason that is neither a record’s fault nor known to pass.',
    action:
      'Look up the SQLSTATE that the message names; after a few attempts the job is paused and shows it.',
  },
  BATCH_MISCOUNTED: {
    retryable: false,
    meaning:
      'PostgreSQL stored a different number of rows of a batch than its message says, or has no table for some of them.',
    action:
      'Find out who else writes to the clean topic or to the staging tables; then run `sluice cancel <id>` and start again.',
  },
  TARGET_MISSING: {
    retryable: false,
    meaning: 'A schema, table, column or key that the dataset needs does not exist.',
    action: 'Run `sluice migrate`; if that does not help, the dataset lacks a migration.',
  },
  TARGET_CANNOT_BE_SWAPPED: {
    retryable: false,
    meaning: 'Replacing the tables would lose something that depends on them.',
    action: 'Remove what the message names, or load with a mode other than `replace`.',
  },
  TARGET_DOES_NOT_FIT: {
    retryable: false,
    meaning: 'The tables were altered so that they would refuse every record, whatever it holds.',
    action: 'Alter the columns that the message names, or give the dataset a new version of its contract.',
  },
  TARGET_FORBIDDEN: {
    retryable: false,
    meaning: 'The database role lacks rights that the job will need before its end.',
    action:
      'Run the statements of the message as the owner or a superuser; docs/operations.md lists all rights.',
  },
  TARGET_PUBLISHED: {
    retryable: false,
    meaning: 'A publication includes the staging tables, which its subscribers do not have.',
    action: 'Publish the tables by name or by schema instead of all of them; the message has the statement.',
  },
  TARGET_HAS_TRIGGERS: {
    retryable: false,
    meaning: 'Mode `replace` fires no triggers, and the tables have some that would have fired.',
    action: 'Load with `append` or `upsert`, or disable the triggers that the message names.',
  },
  TARGET_CHANGED: {
    retryable: false,
    meaning: 'The tables were altered while the job was running, so its rows no longer fit them.',
    action: 'Start the job again.',
  },
  JOB_UNBALANCED: {
    retryable: false,
    meaning:
      'The job’s sums do not add up: records would be missing or counted twice. Nothing became visible.',
    action: 'Start the job again; if it happens twice, report it with the figures.',
  },
  JOB_REFUSED_SHARE: {
    retryable: false,
    meaning: 'A larger share of the records was refused than the job allows. Nothing became visible.',
    action:
      'Look at the findings with `sluice dead-letters`; correct the source, or allow more with --max-refused.',
  },
  STRICT_REFUSED: {
    retryable: false,
    meaning: 'The job is strict, and a record of it was refused. Nothing became visible.',
    action:
      'Look at the findings with `sluice dead-letters`; correct the source and start a new job, or load the rest with `sluice resume JOB --max-refused 1%`, which makes it lenient.',
  },
  JOB_SHRINKS: {
    retryable: false,
    meaning:
      'The new snapshot is smaller than the table by more than the job allows. Nothing became visible.',
    action: 'Check whether the source is complete; if it is, run the job again with --allow-shrink.',
  },
  TARGET_CANNOT_BE_MERGED: {
    retryable: false,
    meaning:
      'The key of a table, or one of its columns, is such that a merge (append, upsert) could lose or confuse records.',
    action: 'Change what the message names, or load with `replace`.',
  },
  TARGET_LOSES_ROWS: {
    retryable: false,
    meaning: 'A table did not keep rows as they were written, so nothing of the job was made visible.',
    action:
      'Look for a trigger of the table that returns NULL or writes another key; change it, then run `sluice resume <id>`.',
  },
  ROWS_CASCADED: {
    retryable: false,
    meaning:
      'While the new tables were built, rows of another table were deleted, and a foreign key ON DELETE CASCADE deleted ' +
      'rows of the new tables with them. Nothing became visible.',
    action:
      'When the sessions that delete there have ended, start the job again: `resume` would not bring the rows back.',
  },
  MERGE_RACED: {
    retryable: true,
    meaning:
      'Other writers changed the same rows each time they were compared. The merge is retried for some minutes, then the ' +
      'job is paused (reason `fault`). Nothing became visible.',
    action: 'Find out who writes to the table all the time and stop it, then run `sluice continue <id>`.',
  },
  FINALIZE_REFUSED: {
    retryable: false,
    meaning:
      'PostgreSQL refused a step of finalization because of what the records hold. Nothing became visible.',
    action: 'The message names the index or constraint; make the contract refuse such records, or drop it.',
  },
  INTERNAL: {
    retryable: false,
    meaning: 'Something happened that should be impossible.',
    action: 'Report it, with the log around it.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether a code that came over the wire is one of these. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

export function errorFacts(code: ErrorCode): ErrorCodeFacts {
  return ERROR_CODES[code];
}
