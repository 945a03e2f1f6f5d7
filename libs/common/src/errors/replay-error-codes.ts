import type { ErrorCodeFacts } from './error-code-facts.js';

/** Codes of replays, part of the closed list. */
export const REPLAY_ERROR_CODES = {
  REPLAY_UNKNOWN: {
    retryable: false,
    meaning: 'No replay has this id.',
    action: 'Look at the list with `sluice replays`.',
  },
  REPLAY_TRANSITION_REFUSED: {
    retryable: false,
    meaning: 'The replay has ended or was cancelled, so this change is not possible.',
    action: 'Look at the replay with `sluice replay <id>`.',
  },
  REPLAY_REFUSED: {
    retryable: false,
    meaning: 'The selected job cannot be replayed in the state that it is in.',
    action:
      'Wait for the end of an active job, or cancel it. A failed one that can be resumed: resume it, or discard it first.',
  },
  REPLAY_EMPTY: {
    retryable: false,
    meaning: 'The selection covers nothing that could be replayed.',
    action:
      'Choose another span, other offsets, or another `--only`; `sluice replay` with `--dry-run` says what is left out.',
  },
  REPLAY_EXPIRED: {
    retryable: false,
    meaning:
      'What the selection names is deleted from the raw topic, or a job that replaces tables would replay a part of its rows.',
    action:
      'Load the source again. A part can be replayed in a merging mode (`--mode upsert`); raise retention.ms of the raw topic to keep more.',
  },
  REPLAY_TOO_LARGE: {
    retryable: false,
    meaning: 'The selection covers more jobs than one replay may have.',
    action: 'Replay a shorter span, and then the next one.',
  },
  REPLAY_INCOMPLETE: {
    retryable: true,
    meaning:
      'Refused records of a selected job have not reached the tracker yet, so it is not known which ones they are.',
    action: 'Try again when the job’s page shows all of its dead letters.',
  },
  REPLAY_PRUNED: {
    retryable: false,
    meaning:
      'Jobs of a stream within the span have no row any more, so they cannot be replayed in their place between the others.',
    action:
      'Replay a span that begins after them, or name what is to be loaded again with `--job` or `--offsets`: its rows may then be older than those of the stream.',
  },
  REPLAY_JOB_STANDS: {
    retryable: false,
    meaning: 'A job of the replay is paused or has failed, and those behind it wait.',
    action:
      'Look at the job that the message names; continue or resume it. To leave it out, run `sluice cancel <id>` or `sluice discard <id>`: the next one begins.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;
