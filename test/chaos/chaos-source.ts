import type { IncomingMessage, ServerResponse } from 'node:http';
import { type SourceServer, startSourceServer } from '../support/source-server.js';

const ETAG = '"chaos"';

/**
 * An HTTP source that gives its bytes only up to a mark that the round moves, so that faults meet the job at a known
 * place, and whose connections can be broken.
 *
 * States: serving (up to the mark) ⇄ gone (every connection is broken off).
 */
export class ChaosSource {
  private readonly waiting = new Set<Body>();
  private server: SourceServer | undefined;
  private mark = 0;
  private isGone = false;

  constructor(
    private readonly content: Buffer,
    private readonly takesRanges: boolean,
  ) {}

  async start(): Promise<void> {
    this.server = await startSourceServer((request, response) => {
      this.answer(request, response);
    });
  }

  get url(): string {
    return this.server?.url() ?? '';
  }

  /** @param share of the bytes that may be had from now on */
  release(share: number): void {
    this.mark = Math.max(this.mark, Math.ceil(this.content.length * share));
    for (const body of this.waiting) body.sendUpTo(this.mark);
  }

  /** Breaks every connection; new ones are answered. @returns whether there was one */
  breakOff(): boolean {
    for (const { response } of this.waiting) response.destroy();
    return this.waiting.size > 0;
  }

  /** Breaks every connection, new ones too, until {@link comeBack}. */
  vanish(): void {
    this.isGone = true;
    this.breakOff();
  }

  comeBack(): void {
    this.isGone = false;
  }

  async close(): Promise<void> {
    await this.server?.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.isGone) {
      response.destroy();
      return;
    }
    const { content } = this;
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    const condition = request.headers['if-range'] ?? ETAG;
    const isPart = this.takesRanges && asked !== undefined && condition === ETAG;
    const start = isPart ? Number(asked) : 0;
    if (start >= content.length && isPart) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    response.writeHead(isPart ? 206 : 200, {
      'content-length': content.length - start,
      ...(this.takesRanges ? { 'accept-ranges': 'bytes', etag: ETAG } : {}),
      ...(isPart ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    response.flushHeaders();
    const body = new Body(response, content, start);
    this.waiting.add(body);
    response.once('close', () => this.waiting.delete(body));
    body.sendUpTo(this.mark);
  }
}

/** One answer's body, sent as far as the mark. */
class Body {
  constructor(
    readonly response: ServerResponse,
    private readonly content: Buffer,
    private position: number,
  ) {}

  sendUpTo(mark: number): void {
    if (mark <= this.position || this.response.destroyed) return;
    this.response.write(this.content.subarray(this.position, mark));
    this.position = mark;
    if (mark === this.content.length) this.response.end();
  }
}
