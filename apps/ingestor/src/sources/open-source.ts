import { SluiceError } from '#common/errors/sluice-error.js';
import type { SourceIdentity } from '#core/job/job.entity.js';
import { ByteReader } from './byte-reader.js';
import type { ByteSource } from './byte-source.js';
import { SIGNATURE_BYTES, contentKindOf } from './content-kind.js';
import { openFile } from './file-source.js';
import { gunzip } from './gzip.js';
import { HttpClient } from './http-client.js';
import { HttpDownload } from './http-download.js';
import { RatioMeter } from './inflate.js';
import { Lifetime } from './lifetime.js';
import type { SourceConfig } from './source.config.js';
import { type SourceAddress, parseSourceUri } from './source-uri.js';
import type { Transport } from './transport.js';
import { unzip } from './zip.js';

/** What is asked for, and by whom. */
export interface SourceRequest {
  /** `http(s)://…`, `file:///…` or an absolute path; may hold credentials. */
  readonly uri: string;
  /** A caller on this machine who proved it: may read any file that the ingestor can, and private addresses. */
  readonly trustedCaller: boolean;
}

/**
 * Opens a source: transport, content and its first bytes have been seen when this resolves, so that most of what
 * can be wrong with a source is told before a job reads from it.
 * @param signal ends the source at any moment; then this and the chunks throw its reason
 * @throws SluiceError SOURCE_*; no text in it holds credentials
 */
export async function openSource(
  request: SourceRequest,
  settings: SourceConfig,
  signal: AbortSignal,
): Promise<ByteSource> {
  const address = parseSourceUri(request.uri);
  const lifetime = new Lifetime(signal);
  try {
    const transport = await openTransport(address, settings, request.trustedCaller, lifetime);
    const raw = new ByteReader(transport.chunks, address.display);
    const { content, isPlain } = await unpacked(raw, settings);
    if (isPlain && transport.oddEncoding !== undefined) await judgeAsText(raw, transport.oddEncoding);
    const expectedBytes = isPlain ? transport.identity.bytes : null;
    if (expectedBytes !== null && expectedBytes > settings.maxBytes) {
      throw tooLarge(address.display, settings.maxBytes);
    }
    return new OpenedSource(transport, isPlain, content, settings.maxBytes, lifetime);
  } catch (error) {
    // Asked before end(), which aborts the same signal.
    const failure: unknown = lifetime.signal.aborted ? lifetime.signal.reason : error;
    await lifetime.end();
    throw failure;
  }
}

function openTransport(
  address: SourceAddress,
  settings: SourceConfig,
  trustedCaller: boolean,
  lifetime: Lifetime,
): Promise<Transport> {
  if (address.kind === 'file') return openFile(address, trustedCaller ? null : settings.folders(), lifetime);
  const client = new HttpClient(settings, lifetime, settings.addressPolicy(trustedCaller));
  return new HttpDownload(client, address, settings, lifetime.signal).open();
}

/** Undoes one layer of gzip or zip, recognised by content. @throws SluiceError when there is nothing, or another layer */
async function unpacked(
  raw: ByteReader,
  settings: SourceConfig,
): Promise<{ content: ByteReader; isPlain: boolean }> {
  const { display } = raw;
  const kind = contentKindOf(await raw.peek(SIGNATURE_BYTES));
  if (kind === 'plain') {
    if ((await raw.peek(1)).length === 0) throw empty(display, 'is empty');
    return { content: raw, isPlain: true };
  }
  if (kind === 'empty-zip') throw empty(display, 'is a zip without members');
  if (kind !== 'gzip' && kind !== 'zip') {
    throw unsupported(display, `is packed as ${kind}; only gzip and zip can be read`);
  }
  const meter = new RatioMeter(settings, display);
  const content = new ByteReader(kind === 'gzip' ? gunzip(raw, meter) : unzip(raw, meter), display);
  const head = await content.peek(SIGNATURE_BYTES);
  if (head.length === 0) throw empty(display, `is a ${kind} of nothing`);
  const inner = contentKindOf(head);
  if (inner !== 'plain') throw unsupported(display, `is packed twice: as ${inner} within ${kind}`);
  return { content, isPlain: false };
}

const TEXT_SAMPLE_BYTES = 1024;

/** Object stores hand out whatever was stored as Content-Encoding: plain text stays plain under any name. */
async function judgeAsText(raw: ByteReader, encoding: string): Promise<void> {
  const { display } = raw;
  const head = await raw.peek(TEXT_SAMPLE_BYTES);
  const named = `is sent with the Content-Encoding "${encoding}"`;
  if (/^[0-9a-f]+;chunk-signature=/i.test(head.toString('latin1', 0, 64))) {
    throw unsupported(display, `${named}, and its body still has the chunks of an upload between its bytes`);
  }
  // UTF-16 and UTF-32 begin with a mark; no other text has control characters but white space.
  const hasMark = /^(fffe|feff)/.test(head.toString('hex', 0, 2));
  if (hasMark || !head.some((byte) => byte < 0x20 && !TEXT_CONTROLS.has(byte))) return;
  throw unsupported(display, `${named}, which is not known, and is no text`);
}

/** TAB, LF, VT, FF, CR, SUB (the end of a file under DOS), ESC (ISO 2022). */
const TEXT_CONTROLS = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1a, 0x1b]);

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
    // Of packed content nobody knows where an offset is; what is not packed has told its size, and was judged by it.
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

function empty(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_EMPTY', `${display} ${what}.`, { file: display });
}

function unsupported(display: string, what: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', `${display} ${what}.`, { file: display });
}
