import type { OwnPart } from './own-part.js';

/** Which source is asked for. */
export interface SourceRequest {
  /** The address as its kind understands it; may hold credentials. */
  readonly uri: string;
  /** What its kind made when the job was accepted (`SourceKind.ask`): who asked, for example. */
  readonly own: OwnPart;
  /** What its kind put into the identity when the job began (`SourceIdentity.own`); left out or null: it begins now. */
  readonly began?: OwnPart | null | undefined;
  /** The encoding that its unpacked content has (`Dataset.encoding`); left out or undefined: UTF-8, and bytes as they are. */
  readonly encoding?: string | undefined;
}
