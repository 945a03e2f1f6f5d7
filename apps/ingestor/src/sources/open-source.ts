import type { Settings } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SourceIdentity } from '#core/source/source-identity.js';
import type { SourceRequest } from '#core/source/source-request.js';
import { ByteReader } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { Lifetime } from './lifetime.js';
import { SOURCE_KINDS } from './source-kinds.js';
import { SourceConfig } from './source.config.js';
import type { Transport } from './transport.js';
import { judgeAsText, unpack } from './unpack/unpack.js';

/**
 * Opens a source: transport, content and its first bytes have been seen when this resolves, so that most of what
 * can be wrong with a source is reported before a job reads from it.
 * @param settings with `SourceConfig` and the classes of every kind
 * @param signal ends the source at any moment; then this and the chunks throw its reason
 * @throws SluiceError SOURCE_*; no text in it holds credentials
 */
export async function openSource(
  request: SourceRequest,
  settings: Settings,
  signal: AbortSignal,
): Promise<ByteSource> {
  const { kind, address } = SOURCE_KINDS.parse(request.uri);
  const limits = settings.of(SourceConfig);
  const lifetime = new Lifetime(signal);
  try {
    const { trustedCaller } = request;
    const transport = await kind.open(address, { settings, trustedCaller, lifetime });
    const raw = new ByteReader(transport.chunks, address.display);
    const { content, isPlain } = await unpack(raw, limits);
    if (isPlain && transport.oddEncoding !== undefined) await judgeAsText(raw, transport.oddEncoding);
    const expectedBytes = isPlain ? transport.identity.bytes : null;
    if (expectedBytes !== null && expectedBytes > limits.maxBytes) {
      throw tooLarge(address.display, limits.maxBytes);
    }
    return new OpenedSource(transport, isPlain, content, limits.maxBytes, lifetime);
  } catch (error) {
    // Asked before end(), which aborts the same signal.
    const failure: unknown = lifetime.signal.aborted ? lifetime.signal.reason : error;
    await lifetime.end();
    throw failure;
  }
}

class OpenedSource implements ByteSource, AsyncIterableIterator<Buffer> {
  readonly identity: SourceIdentity;
  readonly expectedBytes: number | null;
  readonly #transport: Transport;
  readonly #isPlain: boolean;
  readonly #maxBytes: number;
  readonly #lifetime: Lifetime;
  #content: ByteReader;
  #finished = false;

  constructor(
    transport: Transport,
    isPlain: boolean,
    content: ByteReader,
    maxBytes: number,
    lifetime: Lifetime,
  ) {
    this.identity = transport.identity;
    this.expectedBytes = isPlain ? transport.identity.bytes : null;
    this.#transport = transport;
    this.#isPlain = isPlain;
    this.#content = content;
    this.#maxBytes = maxBytes;
    this.#lifetime = lifetime;
  }

  get chunks(): AsyncIterable<Buffer> {
    return this;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#finished) return { done: true, value: undefined };
    const { signal } = this.#lifetime;
    try {
      signal.throwIfAborted();
      const value = await this.#content.next();
      signal.throwIfAborted();
      if (value !== null && this.#content.taken <= this.#maxBytes) return { done: false, value };
      if (value !== null) throw tooLarge(this.#content.display, this.#maxBytes);
      this.#finished = true;
    } catch (error) {
      const failure: unknown = signal.aborted ? signal.reason : error;
      await this.close();
      throw failure;
    }
    await this.close();
    return { done: true, value: undefined };
  }

  async skipTo(offset: number): Promise<boolean> {
    // Where an offset is in packed content is not known; what is not packed has a size, which was judged.
    const rest = this.#isPlain ? await this.#transport.from(offset) : null;
    if (rest === null) return false;
    const before = this.#content;
    this.#content = new ByteReader(rest, before.display);
    await before.close();
    return true;
  }

  /** What a loop calls that is left early. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async close(): Promise<void> {
    await this.#lifetime.end();
    await this.#content.close();
  }
}

function tooLarge(display: string, maxBytes: number): SluiceError {
  const text = `${display} is larger than the ${maxBytes} bytes that a source may have.`;
  return new SluiceError('SOURCE_TOO_LARGE', text, { file: display });
}
