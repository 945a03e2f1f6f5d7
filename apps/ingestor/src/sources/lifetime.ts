/**
 * How long a source may hold sockets and files: until it is closed or its caller's signal is aborted, whichever
 * comes first. Both run the same closers, each once.
 */
export class Lifetime {
  readonly #ending = new AbortController();
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #parent: AbortSignal;
  readonly #onParentAbort = (): void => void this.#end(this.#parent.reason);
  #closing: Promise<void> | null = null;

  /** @throws the signal's reason when it is aborted already */
  constructor(parent: AbortSignal) {
    parent.throwIfAborted();
    this.#parent = parent;
    parent.addEventListener('abort', this.#onParentAbort, { once: true });
  }

  /** Aborted at the end, with the caller's reason if it was the caller. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Has `close` run at the end; at once when the end has been. Its failure is ignored. */
  holds(close: () => Promise<void>): void {
    if (this.#closing) this.#closing = allSettled([this.#closing, close()]);
    else this.#closers.push(close);
  }

  /** Resolves when everything is closed. */
  async end(): Promise<void> {
    await this.#end(new DOMException('The source has been closed.', 'AbortError'));
  }

  #end(reason: unknown): Promise<void> {
    if (!this.#closing) {
      this.#parent.removeEventListener('abort', this.#onParentAbort);
      this.#ending.abort(reason);
      this.#closing = allSettled(this.#closers.map((close) => close()));
    }
    return this.#closing;
  }
}

async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(work);
}
