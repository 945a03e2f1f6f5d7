import type { OpenedRaw } from '#core/raw-log/raw-log-message.js';
import type { SourceIdentity } from '#core/source/source-identity.js';

/** A source that has been opened and delivers what an earlier job has cut already: raw batches, instead of bytes or messages. */
export interface BatchSource {
  readonly identity: SourceIdentity;
  /**
   * Every batch of the source once, in the order of their numbers, which may have gaps; throws SluiceError when the source
   * breaks off for good, and the signal's reason when it is aborted. Read once. Leaving the loop early closes the source.
   */
  readonly batches: AsyncIterable<OpenedRaw>;
  /** Closes connections; resolves when they are closed. May be called at any moment and repeatedly. */
  close(): Promise<void>;
}
