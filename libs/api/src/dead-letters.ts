/**
 * What became of a dead letter: `open`: nothing yet; `resubmitted`: a repair job has its record; `landed`: that job has
 * loaded it; `refused-again`: a new dead letter says why; `discarded`: an operator gave it up, with a reason.
 */
export const DEAD_LETTER_STATES = ['open', 'resubmitted', 'landed', 'refused-again', 'discarded'] as const;
export type DeadLetterState = (typeof DEAD_LETTER_STATES)[number];

/** A refused record: an item of `GET /dead-letters`, and the answer of `GET /dead-letters/:job/:record`. */
export interface DeadLetterView {
  /** `<job>:<record>` */
  readonly id: string;
  readonly dataset: string;
  readonly job: string;
  readonly batch: number;
  readonly record: number;
  readonly line: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly stage: 'validate' | 'load';
  readonly codes: readonly string[];
  readonly findings: readonly FindingView[];
  readonly sqlstate: string | null;
  readonly attempt: number;
  readonly columns: readonly string[];
  /** The message that the record came in; null for records of files. */
  readonly message: MessageView | null;
  /** The record as text (undecodable bytes as U+FFFD), cut at 1,000 characters in lists. */
  readonly text: string;
  /** Its exact bytes in base64; in `GET /dead-letters/:job/:record` only. */
  readonly bytesBase64?: string;
  /** This and what follows is absent in answers of older builds. */
  readonly state?: DeadLetterState;
  /** Why it was discarded; null in any other state. */
  readonly reason?: string | null;
  /** Its group's id; null while a dead letter of an older build has none. */
  readonly group?: string | null;
  /**
   * Ids (`<job>:<record>`) of the dead letter that it is a resubmission of, and of its own record in a repair job: a dead letter
   * of that id is there when the record was refused again.
   */
  readonly predecessor?: string | null;
  readonly successor?: string | null;
  /** Its correction, in `GET /dead-letters/:job/:record` only; null without one. */
  readonly edit?: DeadLetterEditView | null;
}

/** The correction of a dead letter: in the answer of `GET /dead-letters/:job/:record`. */
export interface DeadLetterEditView {
  /** The corrected record as text (undecodable bytes as U+FFFD). */
  readonly text: string;
  /** Its exact bytes in base64. */
  readonly bytesBase64: string;
  /** The entry of `GET /repair-actions` that made it. */
  readonly action: string;
  readonly by: string | null;
  readonly at: string;
}

/** Where a message stood, and what it had besides its value: at most 16 KiB of key and headers. */
export interface MessageView {
  readonly topic: string;
  readonly partition: number;
  /** A whole number; as text, since it may not fit a double. */
  readonly offset: string;
  /** Null where the producer gave none. */
  readonly timestamp: string | null;
  readonly key: MessageTextView | null;
  readonly headers: readonly MessageHeaderView[];
  /** Its key or headers are longer, or more. */
  readonly isCut?: boolean;
  /** It stands for a batch that cannot be decoded: from this offset on, and why. */
  readonly undecodable?: { readonly firstOffset: string; readonly reason: string };
}

export interface MessageHeaderView {
  readonly name: string;
  readonly value: MessageTextView | null;
}

/** Bytes as text where they are one, else in base64: one of the two members. */
export interface MessageTextView {
  readonly text?: string;
  readonly base64?: string;
}

/** One reason about the record. */
export interface FindingView {
  readonly code: string;
  /** The source's name of the field, or null when the whole record is meant. */
  readonly field: string | null;
  readonly message: string;
  /** An `error` refuses the record; a `warning` is counted. */
  readonly severity: 'error' | 'warning';
}

/** How many dead letters are in each state. */
export interface DeadLetterCounts {
  readonly open: number;
  readonly resubmitted: number;
  readonly landed: number;
  readonly refusedAgain: number;
  readonly discarded: number;
}

/** Dead letters with the same reason and values that look the same: an item of `GET /dead-letters/groups`. */
export interface DeadLetterGroupView {
  /** A UUID, the same whenever the read model is built again. */
  readonly id: string;
  readonly dataset: string;
  /** Of the first error of each; `''` where there is none. */
  readonly code: string;
  /** The source's name of the field, `[]` for places in arrays; null when the whole record is meant. */
  readonly field: string | null;
  /** Of the value: digits as `9`, alphabetic characters as `A`; empty without a value; `…` for all shapes beyond the first hundred. */
  readonly shape: string;
  readonly counts: DeadLetterCounts;
  /** Id of one of them, of the newest job; null when there is none any more. */
  readonly example: string | null;
}

/** Answer of `GET /dead-letters/groups`. */
export interface DeadLetterGroupPage {
  readonly items: readonly DeadLetterGroupView[];
  /** Pass as `cursor` for the next page; null at the end. */
  readonly next: string | null;
  /** Dead letters of older builds that have no group yet; the tracker is at it. At most MAX_SHOWN_UNGROUPED. */
  readonly ungrouped: number;
}

export const MAX_SHOWN_UNGROUPED = 100_000;

/** Which dead letters are meant; every member that is given has to fit. */
export interface DeadLetterFilter {
  readonly dataset?: string;
  readonly job?: string;
  /** Of any of its errors. */
  readonly code?: string;
  readonly stage?: 'validate' | 'load';
}

/** Body of `POST /dead-letters/discard`: exactly one of `ids`, `group` and `filter`, which has at least one member. */
export interface DiscardDeadLetters {
  /** `<job>:<record>`, at most MAX_DISCARDED_IDS. */
  readonly ids?: readonly string[];
  readonly group?: string;
  readonly filter?: DeadLetterFilter;
  /** Why nothing is lost by it. */
  readonly reason: string;
  /** Who asks, as far as the client knows. */
  readonly by?: string;
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean;
}

export const MAX_DISCARDED_IDS = 1_000;

/** Answer of `POST /dead-letters/discard`. */
export interface DeadLettersDiscarded {
  /** Its entry in `GET /repair-actions`; null for a dry run. */
  readonly action: string | null;
  readonly dryRun: boolean;
  /** That were open and are discarded now, or would be. */
  readonly discarded: number;
  /** Of `ids`: that were decided about before; nothing was done to them. */
  readonly decided: number;
  /** Of `ids`: that no dead letter has. */
  readonly unknown: readonly string[];
}

/** Body of `POST /resubmissions` of the ingestor: exactly one of `ids`, `group` and `filter`, which has at least one member. */
export interface ResubmitDeadLetters {
  /** `<job>:<record>`, at most MAX_DISCARDED_IDS. */
  readonly ids?: readonly string[];
  readonly group?: string;
  readonly filter?: DeadLetterFilter;
  /** Why it will help, for those who look later. */
  readonly reason?: string;
  /** Who asks, as far as the client knows. */
  readonly by?: string;
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean;
  /** Sends parked ones as well: those that were submitted three times. */
  readonly force?: boolean;
}

/** Answer of `POST /resubmissions`. */
export interface DeadLettersResubmitted {
  /** Its entry in `GET /repair-actions`; null for a dry run, and when nothing was sent. */
  readonly action: string | null;
  readonly dryRun: boolean;
  /** That were open and have a repair job now, or would have one. */
  readonly resubmitted: number;
  /** One for each dataset; several of a dataset only beyond a million dead letters. Empty for a dry run. */
  readonly jobs: readonly RepairJob[];
  /** Open ones that were left as they are, by reason; the most frequent first. */
  readonly notSent: readonly NotSent[];
  /** Of `ids`: that were decided about before; nothing was done to them. */
  readonly decided: number;
  /** Of `ids`: that no dead letter has. */
  readonly unknown: readonly string[];
}

export interface RepairJob {
  readonly id: string;
  readonly dataset: string;
  readonly records: number;
}

export interface NotSent {
  readonly reason: string;
  /** A sentence for people, about the example. */
  readonly message: string;
  readonly count: number;
  /** Id of one of them. */
  readonly example: string;
}

export const REPAIR_ACTIONS = ['discard', 'edit', 'fix', 'import', 'resubmit'] as const;
export type RepairActionKind = (typeof REPAIR_ACTIONS)[number];

/** What was done about dead letters: an item of `GET /repair-actions`. */
export interface RepairActionView {
  readonly id: string;
  readonly action: RepairActionKind;
  /** Which dead letters were meant: `ids`, `group` or `filter`, as they were asked for. */
  readonly selection: DeadLetterSelection;
  /** How many it has changed so far. */
  readonly deadLetters: number;
  /** What was changed, of a `fix`: its body's `set` and `replace`; absent in answers of older builds. */
  readonly detail?: Readonly<Record<string, unknown>> | null;
  readonly reason: string | null;
  readonly by: string | null;
  readonly at: string;
  /** Null while it is under way, and for ever when it broke off: the same request does the rest. */
  readonly finishedAt: string | null;
}

export interface DeadLetterSelection {
  readonly ids?: readonly string[];
  readonly group?: string;
  readonly filter?: DeadLetterFilter;
}
