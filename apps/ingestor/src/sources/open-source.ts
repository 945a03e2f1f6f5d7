import type { Settings } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import type { OpenedRaw } from '#core/raw-log/raw-log-message.js';
import type { SourceIdentity } from '#core/source/source-identity.js';
import type { SourceRequest } from '#core/source/source-request.js';
import type { BatchSource } from './batch-source.js';
import { ByteReader } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { Lifetime } from './lifetime.js';
import type { MessageSource, OpenedSource } from './message-source.js';
import type { SourceAccess } from './source-kind.js';
import type { SourceKindRegistry } from './source-kind-registry.js';
import { SOURCE_KINDS } from './source-kinds.js';
import { SourceConfig } from './source.config.js';
import type { Transport } from './transport.js';
import { decode, judgeAsText, unpack } from './unpack/unpack.js';

/**
 * Opens a source: transport, content and its first bytes have been seen when this resolves, so that most of what
 * can be wrong with a source is reported before a job reads from it.
 * @param settings with `SourceConfig` and the classes of every kind
 * @param signal ends the source at any moment; then this and the chunks throw its reason
 * @param kinds those of this ingestor
 * @param onRetry as in `SourceAccess`
 * @throws SluiceError SOURCE_*; no text in it holds credentials
 */
export async function openSource(
  request: SourceRequest,
  settings: Settings,
  signal: AbortSignal,
  kinds: SourceKindRegistry = SOURCE_KINDS,
  onRetry: SourceAccess['onRetry'] = () => undefined,
): Promise<OpenedSource> {
  const { kind, address } = kinds.parse(request.uri);
  const limits = settings.of(SourceConfig);
  const lifetime = new Lifetime(signal);
  try {
    const { own, began = null } = request;
    const access = { settings, own, began, lifetime, onRetry };
    if (kind.delivers === 'messages') return new OpenedMessages(await kind.open(address, access), lifetime);
    if (kind.delivers === 'batches') return new OpenedBatches(await kind.open(address, access), lifetime);
    const transport = await kind.open(address, access);
    const raw = new ByteReader(transport.chunks, address.display);
    const unpacked = await unpack(raw, limits);
    if (unpacked.isPlain && transport.oddEncoding !== undefined)
      await judgeAsText(raw, transport.oddEncoding);
    const { content, isPlain } = decode(unpacked, request.encoding);
    const expectedBytes = isPlain ? transport.identity.bytes : null;
    if (expectedBytes !== null && expectedBytes > limits.maxBytes) {
      throw tooLarge(address.display, limits.maxBytes);
    }
    return new OpenedBytes(transport, isPlain, content, limits.maxBytes, lifetime);
  } catch (error) {
    // Asked before end(), which aborts the same signal.
    const failure: unknown = lifetime.signal.aborted ? lifetime.signal.reason : error;
    await lifetime.end();
    throw failure;
  }
}

/** What a kind has opened, in order and once; its lifetime ends with the last part, an error, or a loop that is left early. */
abstract class OpenedParts<Part> implements AsyncIterableIterator<Part> {
  readonly #lifetime: Lifetime;
  #finished = false;

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime;
  }

  /** The next part; null behind the last one. */
  protected abstract take(): Promise<Part | null>;

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Part, undefined>> {
    if (this.#finished) return { done: true, value: undefined };
    const { signal } = this.#lifetime;
    try {
      signal.throwIfAborted();
      const value = await this.take();
      signal.throwIfAborted();
      if (value !== null) return { done: false, value };
      this.#finished = true;
    } catch (error) {
      const failure: unknown = signal.aborted ? signal.reason : error;
      await this.close();
      throw failure;
    }
    await this.close();
    return { done: true, value: undefined };
  }

  /** What a loop calls that is left early. */
  async return(): Promise<IteratorResult<Part, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async close(): Promise<void> {
    await this.#lifetime.end();
  }
}

class OpenedBytes extends OpenedParts<Buffer> implements ByteSource {
  readonly identity: SourceIdentity;
  readonly expectedBytes: number | null;
  readonly #transport: Transport;
  readonly #isPlain: boolean;
  readonly #maxBytes: number;
  #content: ByteReader;

  constructor(
    transport: Transport,
    isPlain: boolean,
    content: ByteReader,
    maxBytes: number,
    lifetime: Lifetime,
  ) {
    super(lifetime);
    this.identity = transport.identity;
    this.expectedBytes = isPlain ? transport.identity.bytes : null;
    this.#transport = transport;
    this.#isPlain = isPlain;
    this.#content = content;
    this.#maxBytes = maxBytes;
  }

  get chunks(): AsyncIterable<Buffer> {
    return this;
  }

  protected async take(): Promise<Buffer | null> {
    const value = await this.#content.next();
    if (value !== null && this.#content.taken > this.#maxBytes)
      throw tooLarge(this.#content.display, this.#maxBytes);
    return value;
  }

  async skipTo(offset: number): Promise<boolean> {
    // Where an offset is in packed or decoded content is not known; what is neither has a size, which was judged.
    const rest = this.#isPlain ? await this.#transport.from(offset) : null;
    if (rest === null) return false;
    const before = this.#content;
    this.#content = new ByteReader(rest, before.display);
    await before.close();
    return true;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#content.close();
  }
}

/** Parts that the kind hands over as they are. */
abstract class OpenedItems<Item> extends OpenedParts<Item> {
  readonly #items: AsyncIterator<Item>;

  constructor(
    readonly identity: SourceIdentity,
    items: AsyncIterable<Item>,
    lifetime: Lifetime,
  ) {
    super(lifetime);
    this.#items = items[Symbol.asyncIterator]();
  }

  protected async take(): Promise<Item | null> {
    const next = await this.#items.next();
    return next.done === true ? null : next.value;
  }
}

class OpenedMessages extends OpenedItems<readonly ReadMessage[]> implements MessageSource {
  constructor({ identity, messages }: Omit<MessageSource, 'close'>, lifetime: Lifetime) {
    super(identity, messages, lifetime);
  }

  get messages(): AsyncIterable<readonly ReadMessage[]> {
    return this;
  }
}

class OpenedBatches extends OpenedItems<OpenedRaw> implements BatchSource {
  constructor({ identity, batches }: Omit<BatchSource, 'close'>, lifetime: Lifetime) {
    super(identity, batches, lifetime);
  }

  get batches(): AsyncIterable<OpenedRaw> {
    return this;
  }
}

function tooLarge(display: string, maxBytes: number): SluiceError {
  const text = `${display} is larger than the ${maxBytes} bytes that a source may have.`;
  return new SluiceError('SOURCE_TOO_LARGE', text, { file: display });
}
