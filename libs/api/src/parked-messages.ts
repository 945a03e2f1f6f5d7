export const PARKED_STATES = ['open', 'retried', 'skipped'] as const;
export type ParkedState = (typeof PARKED_STATES)[number];

/** A message that no service could read; it stays in its topic until that expires. */
export interface ParkedMessageView {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly reason: string;
  readonly parkedAt: string;
  /** `retried`: published again to its topic; `skipped`: never to be handled. */
  readonly state: ParkedState;
  /** When that was decided; null while it is open. */
  readonly decidedAt: string | null;
  /** Why it was skipped, or where it was published to. */
  readonly note: string | null;
}

/** A parked message as it stands in its topic. */
export interface ParkedMessageContent extends ParkedMessageView {
  /** UTF-8; bytes that are none as U+FFFD. */
  readonly key: string | null;
  readonly headers: readonly { readonly name: string; readonly value: string | null }[];
  readonly valueBytes: number;
  /** Its exact bytes; null for a message without a value. */
  readonly valueBase64: string | null;
}
