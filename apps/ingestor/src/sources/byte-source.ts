import type { SourceIdentity } from '#core/source/source-identity.js';

/** A source that has been opened: the uncompressed bytes as UTF-8, in order, whatever the transport did to bring them. */
export interface ByteSource {
  readonly identity: SourceIdentity;
  /** Size of the uncompressed bytes when it is known beforehand; null for compressed, decoded or chunked sources. */
  readonly expectedBytes: number | null;
  /**
   * Chunks of any size, in order; throws SluiceError when the source breaks off for good, and the signal's
   * reason when it is aborted. Read once. Leaving the loop early closes the source.
   */
  readonly chunks: AsyncIterable<Buffer>;
  /**
   * Lets `chunks` continue at a byte of the uncompressed content, without fetching what lies between. What was delivered
   * before is not compared with anything: ask only where `identity.validator` is what it was then.
   * @returns false when this source can only be read in order; then `chunks` continues unchanged
   */
  skipTo(offset: number): Promise<boolean>;
  /** Closes sockets and files; resolves when they are closed. May be called at any moment and repeatedly. */
  close(): Promise<void>;
}
