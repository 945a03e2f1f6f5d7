import type { SourceSettings } from '#test/support/source-settings.js';

/**
 * What a kind of source brings for tests, as the default export of `harness.ts` in its folder: `conformance.spec.ts` asks
 * the promises of every kind with it. No product code imports it.
 */
export interface SourceHarness {
  /** Whether a plain source can begin at an offset, without the bytes before it. */
  readonly skips: boolean;
  /** Puts a source with this content where the kind reads. */
  start(content: Buffer): Promise<TestSource>;
}

/** The same of a kind that delivers messages or batches, for `conformance.medium-spec.ts`. */
export interface MessageHarness {
  /** The kind reads all of a source through when it opens it, to find what it will deliver. */
  readonly looksThrough?: true;
  /** False: what has no value is empty. */
  readonly hasNulls?: false;
  /** Starts, or finds, the server that has the messages. @returns the settings by which it is reached */
  begin(): Promise<SourceSettings>;
  end(): Promise<void>;
  /** Puts a source with these values where the kind reads, in this order. */
  start(values: readonly (Buffer | null)[]): Promise<TestSource<readonly (Buffer | null)[]>>;
}

/** One source that a test may change and watch. */
export interface TestSource<Content = Buffer> {
  /** Its address, with everything secret that an address of this kind may hold. The source is refused without it. */
  readonly uri: string;
  /** By which its server is reached, where the address does not say. */
  readonly settings?: SourceSettings;
  /** Texts that may be shown nowhere. */
  readonly secrets: readonly string[];
  /** Makes another version of it, under the same address. Resolves when every opening from now on finds that one. */
  replace(content: Content): Promise<void>;
  /** Takes it away: every opening from now on fails. */
  remove(): Promise<void>;
  /** Bytes that all readers together have taken out of it so far, buffers of the operating system included. */
  pulledBytes(): number;
  /** Sockets and files that are open for it now. */
  openHandles(): Promise<number>;
  /** Removes everything that `start` made. */
  stop(): Promise<void>;
}
