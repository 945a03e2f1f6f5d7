/** The closed lists of words that say how a stream stands: in the API and in its row alike. */

/**
 * `running`: what arrives in the inbox becomes jobs; `draining`: so does what had arrived when it was asked for, then the
 * stream stops; `paused`: it stands until it is resumed; `stopped`: it was never started, or has been drained.
 */
export const STREAM_STATES = ['running', 'draining', 'paused', 'stopped'] as const;
export type StreamState = (typeof STREAM_STATES)[number];

/**
 * `operator`: asked for; `breaker`: too many of the latest records were refused; `job`: a job of it is paused or has failed;
 * `inbox`: messages of the inbox are gone, or the topic was created again; `fault`: an error that no waiting ends.
 */
export const STREAM_PAUSE_REASONS = ['operator', 'breaker', 'job', 'inbox', 'fault'] as const;
export type StreamPauseReason = (typeof STREAM_PAUSE_REASONS)[number];

/** What a running stream waits for: the closed list; docs/streams.md lists exactly these (a test compares). */
export const STREAM_WAIT_CODES = {
  SERVER_AWAY: 'Kafka or PostgreSQL does not answer; the step is tried again.',
  DATASET_HELD: 'Another job of the dataset, a `replace`, excludes the next one until it has ended.',
  JOBS_IN_FLIGHT: 'The stream has as many unfinished jobs as it may have.',
  CONTRACT_NEWER: 'The stream was last run by a newer version of the dataset than any ingestor has now.',
} as const;
export type StreamWaitCode = keyof typeof STREAM_WAIT_CODES;
