import type { ReadMessage } from '#common/kafka/message.js';
import type { SourceIdentity } from '#core/source/source-identity.js';
import type { BatchSource } from './batch-source.js';
import type { ByteSource } from './byte-source.js';

/** A source that has been opened and delivers messages, each of them one record, instead of bytes. */
export interface MessageSource {
  readonly identity: SourceIdentity;
  /**
   * Every message of the source once, by partition and then by offset; throws SluiceError when the source breaks off for
   * good, and the signal's reason when it is aborted. Read once. Leaving the loop early closes the source.
   */
  readonly messages: AsyncIterable<readonly ReadMessage[]>;
  /** Closes connections; resolves when they are closed. May be called at any moment and repeatedly. */
  close(): Promise<void>;
}

/** What a job reads from: bytes that have a head and are cut into records, messages, or batches that have been cut already. */
export type OpenedSource = ByteSource | MessageSource | BatchSource;

export function deliversMessages(source: OpenedSource): source is MessageSource {
  return 'messages' in source;
}

export function deliversBatches(source: OpenedSource): source is BatchSource {
  return 'batches' in source;
}
