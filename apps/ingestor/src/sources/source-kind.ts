import type { Settings } from '#common/config/environment.js';
import type { ErrorCode } from '#common/errors/error-codes.js';
import type { OwnPart } from '#core/source/own-part.js';
import type { BatchSource } from './batch-source.js';
import type { Caller } from './caller.js';
import type { Lifetime } from './lifetime.js';
import type { MessageSource } from './message-source.js';
import type { Transport } from './transport.js';

/**
 * What a kind of source is: one folder with a `kind.ts`, whose default export is a `SourceKind`. The registry
 * (`source-kind-registry.ts`) finds it there; nothing else names it.
 *
 * - SU1: credentials (userinfo, query values, fragments, keys) are kept in private fields only: neither printing,
 *   inspecting nor serializing an address shows them. Everything shown, logged or put into an error is `display`.
 * - SU2: what has no host is not shown, because nothing shows where its secrets are: in `user:password@host`, with the
 *   scheme forgotten, the user is the scheme. The registry hands such a text to the local kind alone.
 * - SU3: a kind keeps what it needs of a request, and of the content it found, in own parts of the job row: JSON without
 *   secrets, which comes back to every opening as it was made, and which nothing outside the folder interprets. The kind
 *   checks what comes back: the row may be an older build's.
 */
export type SourceKind<Address extends SourceAddress = SourceAddress> =
  ByteKind<Address> | MessageKind<Address> | BatchKind<Address>;

/** What kinds of all sorts are. */
interface AnyKind<Address extends SourceAddress> {
  /** The folder's name; job rows hold it. */
  readonly name: string;
  /** Schemes of its URLs, in lower case, without the colon. */
  readonly schemes: readonly string[];
  /** It reads the ingestor's own machine: absolute paths and URLs without a host are its addresses, too. */
  readonly isLocal: boolean;
  /** How its addresses are written, for the API's description. */
  readonly form: string;
  /** Settings classes that this kind alone reads, in files named `<name>.config.ts`; checked when the ingestor starts. */
  readonly settings: readonly (new () => object)[];
  /**
   * @param text an address with one of the schemes, or an absolute path for the local kind
   * @throws SluiceError SOURCE_UNSUPPORTED
   */
  parse(text: string): Address;
  /**
   * What the job row keeps of the request for its kind (SU3). A kind that looks only at its caller takes `askAs`.
   * @param caller who asks, when the job is accepted
   */
  ask(address: Address, caller: Caller): OwnPart;
}

/** A kind whose sources are bytes, with a head. */
export interface ByteKind<Address extends SourceAddress = SourceAddress> extends AnyKind<Address> {
  readonly delivers?: 'bytes';
  /**
   * Opens the source and identifies it. What it opens is closed through `access.lifetime`.
   * @throws SluiceError SOURCE_*; no text in it holds credentials
   */
  open(address: Address, access: SourceAccess): Promise<Transport>;
}

/** A kind whose sources are messages, each of them one record. */
export interface MessageKind<Address extends SourceAddress = SourceAddress> extends AnyKind<Address> {
  readonly delivers: 'messages';
  /**
   * As of {@link ByteKind}; `messages` ends with the lifetime's signal.
   * @throws SluiceError SOURCE_*, and of the brokers: BROKER_UNAVAILABLE, BROKER_FAULT
   */
  open(address: Address, access: SourceAccess): Promise<Omit<MessageSource, 'close'>>;
}

/** A kind whose sources are raw batches that an earlier job has cut. */
export interface BatchKind<Address extends SourceAddress = SourceAddress> extends AnyKind<Address> {
  readonly delivers: 'batches';
  /** As of {@link MessageKind}; `batches` ends with the lifetime's signal. */
  open(address: Address, access: SourceAccess): Promise<Omit<BatchSource, 'close'>>;
}

/** An address that its kind has understood. */
export interface SourceAddress {
  /** Fit to be shown (SU1). */
  readonly display: string;
}

/** What a kind may use to open a source. */
export interface SourceAccess {
  /** Its own classes and `SourceConfig`. */
  readonly settings: Settings;
  /** What `ask` made when the job was accepted. */
  readonly own: OwnPart;
  /**
   * What the kind put into `SourceIdentity.own` when the job began, to open the same version again; null when the job
   * begins with this opening, or began by a build that kept nothing.
   */
  readonly began: OwnPart | null;
  readonly lifetime: Lifetime;
  /** Called before the source is asked once more, with the code of what went wrong. Must not throw. */
  readonly onRetry: (code: ErrorCode) => void;
}
