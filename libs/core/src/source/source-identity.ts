import type { OwnPart } from './own-part.js';

/** What identifies a source's content; used to refuse resuming against a changed source. */
export interface SourceIdentity {
  readonly bytes: number | null;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /**
   * Where this is equal, every byte is: a strong ETag, a Last-Modified that was a second old when it was served, a
   * file's time of writing to the nanosecond. Null (or absent, in older jobs) when nothing promises so much.
   */
  readonly validator?: string | null;
  /** What the kind identifies the content by besides, such as a version id: given to it again when the job is resumed. */
  readonly own?: OwnPart;
}
