import { type Hash, createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ErrorCode } from '#common/errors/error-codes.js';
import type { Transport } from '../transport.js';
import type { HttpAddress } from './http-address.js';
import { type HttpClient, type HttpResponse, discard } from './http-client.js';
import { Interruption, networkTrouble, statusTrouble } from './http-errors.js';
import {
  type ContentHeaders,
  contentHeadersOf,
  oddEncodingOf,
  retryAfterMs,
  valuesOf,
} from './http-headers.js';
import type { HttpConfig } from './http.config.js';
import { RetryBudget } from './retry-budget.js';

/**
 * One HTTP resource as one run of bytes, whatever happens to its connections.
 *
 * States: requesting → reading → (interrupted → waiting → requesting → reading)* → done | failed.
 *
 * - HT1: every byte of the body is delivered once, in order.
 * - HT2: after an interruption reading continues with bytes that were proved to belong to those delivered: by a 206 to
 *   Range + If-Range with a strong validator that repeats start and total (RFC 9110 section 14.4), or, from the
 *   start, by the SHA-256 of the delivered prefix. Otherwise the source has changed and the download fails.
 * - HT3: the body is done when all of its announced length is there; one that ends earlier was interrupted.
 * - HT4: a server that answers Range wrongly is not asked for ranges again.
 * - HT5: interruptions are charged to the retry budget; what is no interruption ends the download at once.
 * - HT6: a download that begins at an offset begins with a 206 like those of HT2. It continues from the start of a body
 *   only if that has the same strong validator: of the bytes before its offset it knows nothing else.
 */
export class HttpDownload {
  readonly #budget: RetryBudget;
  readonly #prefix = createHash('sha256');
  /** Where the delivered bytes begin, and the validator that they began with; null in a whole download. */
  #begin: { readonly offset: number; readonly validator: string } | null = null;
  #position = 0;
  #total: number | null = null;
  #validator: string | null = null;
  #rangesFail = false;

  constructor(
    private readonly client: HttpClient,
    private readonly address: HttpAddress,
    private readonly settings: HttpConfig,
    private readonly signal: AbortSignal,
    /** Called before each request that follows an interruption. */
    private readonly onRetry: (code: ErrorCode) => void,
  ) {
    this.#budget = new RetryBudget(settings);
  }

  /**
   * Requests until there is a body.
   * @returns what the response says of the content, and the body's bytes, to be read once
   * @throws SluiceError; so do the chunks
   */
  async open(): Promise<Transport> {
    const part = await this.#requestUntilAnswered(() => this.#request());
    const { etag, lastModified, rangeValidator: validator } = part.content;
    const total = this.#total;
    const odd = oddEncodingOf(part.response.headers);
    return {
      identity: { bytes: total, etag, lastModified, validator },
      ...(odd === null ? {} : { oddEncoding: odd.value }),
      chunks: this.#chunks(part),
      from: async (offset) => {
        if (total === null || validator === null || offset > total) return null;
        const { client, address, settings, signal, onRetry } = this;
        return new HttpDownload(client, address, settings, signal, onRetry).#openAt(offset, total, validator);
      },
    };
  }

  /** HT6. @returns null when the server does not answer Range with exactly these bytes */
  async #openAt(offset: number, total: number, validator: string): Promise<AsyncGenerator<Buffer> | null> {
    this.#begin = { offset, validator };
    this.#position = offset;
    this.#total = total;
    this.#validator = validator;
    // No request can ask for the bytes behind the last one.
    if (offset === total) return nothing();
    const part = await this.#requestUntilAnswered(() => this.#requestRest(validator));
    return part === null ? null : this.#chunks(part);
  }

  async *#chunks(first: BodyPart): AsyncGenerator<Buffer> {
    for (let part = first; ; part = await this.#requestUntilAnswered(() => this.#request())) {
      try {
        yield* this.#read(part);
        return;
      } catch (error) {
        await this.#waitAfter(error);
      }
    }
  }

  async #requestUntilAnswered<T>(request: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await request();
      } catch (error) {
        await this.#waitAfter(this.#withProgress(error));
      }
    }
  }

  /** What a request ended with, and how much had come before it: an address may be good for minutes only. */
  #withProgress(error: unknown): unknown {
    if (this.#position === (this.#begin?.offset ?? 0)) return error;
    const more = `${this.#progress()} had come before.`;
    if (error instanceof Interruption) return new Interruption(worded(error.lasting, more), error.waitMs);
    return error instanceof SluiceError && error.code !== 'SOURCE_CHANGED' ? worded(error, more) : error;
  }

  /** Charges an interruption and waits as long as it costs, unless aborted; anything else is thrown on. */
  async #waitAfter(error: unknown): Promise<void> {
    if (!(error instanceof Interruption)) throw error;
    const { lasting, waitMs } = error;
    const ownWaitMs = this.#budget.spend(this.#position);
    if (ownWaitMs === null) throw worded(lasting, `Given up after ${this.settings.retries} retries.`);
    if (waitMs !== null && waitMs > this.settings.maxRetryAfterMs) {
      throw worded(lasting, `It asks to wait ${Math.ceil(waitMs / 1000)} s, longer than is waited for.`);
    }
    await sleep(Math.max(ownWaitMs, waitMs ?? 0), undefined, { signal: this.signal });
    this.onRetry(lasting.code);
  }

  /** One request for what is missing; a second one when the server cannot answer Range properly (HT4). */
  async #request(): Promise<BodyPart> {
    if (this.#position > 0 && this.#validator !== null) {
      const part = await this.#askForRest(this.#validator);
      const { statusCode } = part.response;
      if (statusCode !== 206 && statusCode !== 416) return this.#judgeWhole(part);
      if (statusCode === 206 && this.#continues(part.content)) return part;
      discard(part.response);
      this.#rangesFail = true;
      this.#validator = null;
    }
    return this.#judgeWhole(bodyPart(await this.client.get(this.address, {})));
  }

  /** The first request of HT6: a server that answers anything but the rest is not asked again. */
  async #requestRest(validator: string): Promise<BodyPart | null> {
    const part = await this.#askForRest(validator);
    const { statusCode, headers } = part.response;
    if (statusCode === 206 && this.#continues(part.content)) return part;
    discard(part.response);
    if (statusCode === 206 || statusCode === 416 || WHOLE_BODIES.has(statusCode)) return null;
    throw statusTrouble(statusCode, this.address.display, retryAfterMs(headers, Date.now()));
  }

  async #askForRest(validator: string): Promise<BodyPart> {
    const range = { range: `bytes=${this.#position}-`, 'if-range': validator };
    return bodyPart(await this.client.get(this.address, range));
  }

  /** Whether a 206 is the rest of what was delivered: same start, same total, same ETag if it names one (HT2). */
  #continues({ range, etag }: ContentHeaders): boolean {
    if (range?.first !== this.#position || range.total !== this.#total) return false;
    return etag === null || !this.#validator?.startsWith('"') || etag === this.#validator;
  }

  /** A body from the start: the first one, or one that has to begin as the delivered bytes did. */
  #judgeWhole(part: BodyPart): BodyPart {
    const { response, content } = part;
    try {
      const { statusCode, headers } = response;
      const { display } = this.address;
      if (!WHOLE_BODIES.has(statusCode)) {
        throw statusTrouble(statusCode, display, retryAfterMs(headers, Date.now()));
      }
      refusePacking(headers, display);
      refuseTwoLengths(headers, display);
      if (this.#total !== null && content.length !== null && content.length !== this.#total) {
        throw this.#changed(`its size went from ${this.#total} to ${content.length} bytes`);
      }
      if (this.#begin !== null && content.rangeValidator !== this.#begin.validator) {
        throw this.#changed('it has not the ETag or Last-Modified any more that it had');
      }
    } catch (error) {
      discard(response);
      throw error;
    }
    if (this.#position === 0) this.#trust(content);
    return part;
  }

  /** Later ranges are compared with these headers: those of a body that begins with all that was delivered. */
  #trust({ length, rangeValidator }: ContentHeaders): void {
    this.#total ??= length;
    // Without a total there is nothing that a 206 could repeat.
    this.#validator = this.#rangesFail || this.#total === null ? null : rangeValidator;
  }

  async *#read({ response, content }: BodyPart): AsyncGenerator<Buffer> {
    const isRest = response.statusCode === 206;
    const proof = new PrefixProof(this.#begin?.offset ?? 0, isRest ? 0 : this.#position, this.#prefix);
    try {
      for await (const chunk of response.body) {
        const wasOpen = proof.isOpen();
        const news = proof.passOver(chunk);
        if (news === null) throw this.#changed('it does not begin with the same bytes any more');
        if (wasOpen && !proof.isOpen()) this.#trust(content);
        if (news.length === 0) continue;
        this.#prefix.update(news);
        this.#position += news.length;
        yield news;
      }
    } catch (error) {
      if (error instanceof SluiceError) throw error;
      throw networkTrouble(error, this.address.display, ` after ${this.#progress()}`);
    }
    if (proof.isOpen()) throw this.#changed('it became shorter');
    if (this.#total !== null && this.#position > this.#total) throw this.#changed('it became longer');
    if (this.#total !== null && this.#position < this.#total) throw this.#endedEarly(); // HT3
  }

  #progress(): string {
    return this.#total === null ? `${this.#position} bytes` : `${this.#position} of ${this.#total} bytes`;
  }

  #changed(how: string): SluiceError {
    const { display } = this.address;
    return new SluiceError('SOURCE_CHANGED', `${display} changed while it was read: ${how}.`, {
      file: display,
    });
  }

  #endedEarly(): Interruption {
    const { display } = this.address;
    const text = `${display} ended after ${this.#progress()}.`;
    return new Interruption(new SluiceError('SOURCE_TRUNCATED', text, { file: display }));
  }
}

interface BodyPart {
  readonly response: HttpResponse;
  readonly content: ContentHeaders;
}

function bodyPart(response: HttpResponse): BodyPart {
  return { response, content: contentHeadersOf(response.headers) };
}

/** Skips the start of a new body while proving that it is what was delivered. */
class PrefixProof {
  readonly #hash = createHash('sha256');
  readonly #expected: Buffer;
  #unknown: number;
  #missing: number;

  /** @param begin first byte delivered @param end behind the last one; 0 for nothing to prove @param delivered their running SHA-256 */
  constructor(begin: number, end: number, delivered: Hash) {
    this.#unknown = begin;
    this.#missing = end;
    this.#expected = delivered.copy().digest();
  }

  /** Bytes are still to be compared. */
  isOpen(): boolean {
    return this.#missing > 0;
  }

  /** @returns what of the chunk is new; null when the prefix turned out to be another one */
  passOver(chunk: Buffer): Buffer | null {
    if (!this.isOpen()) return chunk;
    const old = chunk.subarray(0, this.#missing);
    const unknown = Math.min(this.#unknown, old.length);
    this.#unknown -= unknown;
    this.#hash.update(old.subarray(unknown));
    this.#missing -= old.length;
    if (!this.isOpen() && !this.#hash.digest().equals(this.#expected)) return null;
    return chunk.subarray(old.length);
  }
}

/** 203 is a 200 that a proxy has changed on the way. */
const WHOLE_BODIES = new Set([200, 203]);

/** gzip is recognised by content like any other; what else a server packs by, unasked, cannot be undone. */
function refusePacking(headers: HttpResponse['headers'], display: string): void {
  const odd = oddEncodingOf(headers);
  if (odd?.isPacking !== true) return;
  const text = `${display} is sent with the Content-Encoding "${odd.value}", which was not asked for and cannot be read.`;
  throw new SluiceError('SOURCE_UNSUPPORTED', text, { file: display });
}

/** Which one is true is not known; with a transfer coding none of them counts. */
function refuseTwoLengths(headers: HttpResponse['headers'], display: string): void {
  const lengths = valuesOf(headers['content-length']).flatMap((value) => value.split(','));
  if (lengths.length < 2 || headers['transfer-encoding'] !== undefined) return;
  const text = `${display} announces more than one length of its body.`;
  throw new SluiceError('SOURCE_SERVER_ERROR', text, { file: display });
}

function worded(error: SluiceError, more: string): SluiceError {
  return new SluiceError(error.code, `${error.message} ${more}`, error.place);
}

async function* nothing(): AsyncGenerator<Buffer> {
  // No bytes.
}
