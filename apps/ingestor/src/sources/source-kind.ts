import type { Settings } from '#common/config/environment.js';
import type { Lifetime } from './lifetime.js';
import type { Transport } from './transport.js';

/**
 * What a kind of source is: one folder with a `kind.ts`, whose default export is a `SourceKind`. The registry
 * (`source-kind-registry.ts`) finds it there; nothing else names it.
 *
 * U1 Credentials (userinfo, query values, fragments, keys) are kept in private fields only: neither printing,
 *    inspecting nor serializing an address shows them. Everything shown, logged or put into an error is `display`.
 * U2 What has no host is not shown, because nothing tells where its secrets are: in `user:password@host`, with the
 *    scheme forgotten, the user is the scheme. The registry hands such a text to the local kind alone.
 */
export interface SourceKind<Address extends SourceAddress = SourceAddress> {
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
   * Opens the source and identifies it. What it opens is closed through `access.lifetime`.
   * @throws SluiceError SOURCE_*; no text in it holds credentials
   */
  open(address: Address, access: SourceAccess): Promise<Transport>;
}

/** An address that its kind has understood. */
export interface SourceAddress {
  /** Fit to be shown (U1). */
  readonly display: string;
}

/** What a kind may use to open a source, and for whom. */
export interface SourceAccess {
  /** Its own classes and `SourceConfig`. */
  readonly settings: Settings;
  /** The caller proved to be on this machine. */
  readonly trustedCaller: boolean;
  readonly lifetime: Lifetime;
}
