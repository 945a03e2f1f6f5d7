import { once } from 'node:events';
import { type IncomingMessage, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as a receiver of OTLP gets it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a span that is no part of another one. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly isFailed: boolean;
  readonly seconds: number;
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
  /** What the process said of itself. */
  readonly resource: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface Body {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}
interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly links?: readonly { readonly spanId: string }[];
  readonly status?: { readonly code?: number };
}

/** A receiver of traces by OTLP over HTTP, in JSON. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Everything that came, as it came. */
  readonly bodies: string[] = [];
  /** What it answers. */
  status = 200;
  private readonly server = createServer((request, response) => {
    void bodyOf(request).then((text) => {
      if (this.status === 200 && request.url === '/v1/traces') this.take(text);
      response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
    });
  });

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    receiver.server.listen(0, '127.0.0.1');
    await once(receiver.server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Spans of a job, by the trace that it is. */
  of(job: string): ReceivedSpan[] {
    return this.spans.filter(({ traceId }) => traceId === job.replaceAll('-', ''));
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private take(text: string): void {
    this.bodies.push(text);
    for (const { resource, scopeSpans } of (JSON.parse(text) as Body).resourceSpans)
      for (const span of scopeSpans.flatMap(({ spans }) => spans))
        this.spans.push(received(span, valuesOf(resource.attributes)));
  }
}

function received(span: SentSpan, resource: ReceivedSpan['resource']): ReceivedSpan {
  const { traceId, spanId, parentSpanId = '', name, links = [], attributes } = span;
  return {
    ...{ traceId, spanId, parentSpanId, name, resource },
    isFailed: span.status?.code === 2,
    seconds: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e9,
    links: links.map((link) => link.spanId),
    attributes: valuesOf(attributes),
  };
}

function valuesOf(attributes: readonly Attribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
