import type { SourceIdentity } from '#core/source/source-identity.js';

/** What a source is before its content is examined: the bytes as they are stored or sent. */
export interface Transport {
  readonly identity: SourceIdentity;
  /** A Content-Encoding that is no packing: what is not text then is packed in an unknown way. */
  readonly oddEncoding?: string;
  /** To be read once. */
  readonly chunks: AsyncGenerator<Buffer>;
  /**
   * The bytes of the same version from `offset` on, or null when they cannot be had without those before them.
   * `chunks` is left as it was in either case.
   */
  from(offset: number): Promise<AsyncGenerator<Buffer> | null>;
}
