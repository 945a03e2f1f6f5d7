import { randomBytes } from 'node:crypto';
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type IdGenerator, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { OWN_BUILD } from '../build.js';
import { BoundedExport } from './bounded-export.js';
import type { JobWork, Tracing, TracedJob, TracedWork } from './traced-work.js';

export interface TracingParts {
  /** Name of the app. */
  readonly service: string;
  readonly instance: string;
  /** Base address of the receiver: http(s)://host:port. */
  readonly endpoint: string;
  readonly logger: Logger;
  /** Spans that wait for the receiver; {@link MAX_WAITING} when left out. */
  readonly maxWaiting?: number;
  /** From the end of a span until it is sent, in ms; a second when left out. */
  readonly delayMs?: number;
  /** Of one request with its repeats; {@link REQUEST_TIMEOUT_MS} when left out. */
  readonly requestTimeoutMs?: number;
}

/** About 5 MB: 2.6 KB a span. A job of a million records ends some hundred in each service. */
const MAX_WAITING = 2_048;
const SPANS_A_REQUEST = 512;
/** The queue gives up later than the request, so that each span is settled once. */
const REQUEST_TIMEOUT_MS = 10_000;
/** The end of a process waits no longer for the receiver. */
const LONGEST_CLOSE_MS = 2_000;

/**
 * Spans of jobs, sent by OTLP. Loaded only where traces are on.
 *
 * - OT1: the trace of a job is its id: 128 bits, so every service agrees on it without asking. The span of the whole job has the last
 *   64 of them as its id: its children can name it long before it is sent, which is when the job has ended.
 * - OT2: names and numbers go into spans, and what is shown of a source; never a record, a key or a credential.
 */
export class OtlpTracing implements Tracing {
  private readonly ids = new JobIds();
  private readonly bounds: BoundedExport;
  private readonly provider: TracerProvider;
  private readonly tracer: Tracer;

  constructor({ service, instance, endpoint, logger, ...limits }: TracingParts) {
    const { maxWaiting = MAX_WAITING, delayMs = 1_000, requestTimeoutMs = REQUEST_TIMEOUT_MS } = limits;
    this.bounds = new BoundedExport(maxWaiting, logger);
    const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: requestTimeoutMs });
    const queue = new BatchSpanProcessor({
      exporter: this.bounds.exporter(exporter),
      maxQueueSize: maxWaiting + SPANS_A_REQUEST,
      maxExportBatchSize: Math.min(SPANS_A_REQUEST, maxWaiting),
      scheduledDelayMillis: delayMs,
      exportTimeoutMillis: 2 * requestTimeoutMs,
    });
    const own = resourceFromAttributes({
      'service.name': `sluice-${service}`,
      'service.instance.id': instance,
      'service.version': OWN_BUILD ?? 'unknown',
    });
    this.provider = new TracerProvider({
      resource: own.merge(detectResources({ detectors: [envDetector] })),
      idGenerator: this.ids,
      spanProcessors: [this.bounds.processor(queue)],
    });
    this.tracer = this.provider.getTracer('sluice');
    logger.info({ endpoint }, 'traces are sent');
  }

  get spans(): Tracing['spans'] {
    return this.bounds.counts;
  }

  begin(name: string, of: TracedJob, { attributes, parent, links }: JobWork = {}): TracedWork {
    const span = this.tracer.startSpan(
      name,
      {
        attributes: { ...attributesOf(of), ...attributes },
        links: (links ?? []).map((link) => ({ context: contextOf(of.job, spanIn(link)) })),
      },
      within(of.job, parent === undefined ? rootOf(of.job) : spanIn(parent)),
    );
    return new OpenWork(this.tracer, span, of);
  }

  took(name: string, of: TracedJob, seconds: number, attributes: Attributes = {}): void {
    const end = Date.now();
    this.tracer
      .startSpan(
        name,
        { startTime: end - seconds * 1_000, attributes: { ...attributesOf(of), ...attributes } },
        within(of.job, rootOf(of.job)),
      )
      .end(end);
  }

  ended(of: TracedJob, state: string, beganAtMs: number): void {
    this.ids.next = of.job;
    const span = this.tracer.startSpan(
      'job',
      { root: true, startTime: beganAtMs, attributes: { ...attributesOf(of), 'sluice.state': state } },
      ROOT_CONTEXT,
    );
    this.ids.next = null;
    if (state === 'failed') span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }

  async close(): Promise<void> {
    const closed = this.provider.shutdown().catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const given = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_CLOSE_MS)));
    await Promise.race([closed, given]);
    clearTimeout(timer);
  }
}

class OpenWork implements TracedWork {
  constructor(
    private readonly tracer: Tracer,
    private readonly span: Span,
    private readonly of: TracedJob,
  ) {}

  get traceparent(): string {
    const { traceId, spanId } = this.span.spanContext();
    return `00-${traceId}-${spanId}-01`;
  }

  took(name: string, seconds: number): void {
    const end = Date.now();
    const context = trace.setSpan(ROOT_CONTEXT, this.span);
    const startTime = end - seconds * 1_000;
    this.tracer.startSpan(name, { startTime, attributes: attributesOf(this.of) }, context).end(end);
  }

  end(fault?: string): void {
    if (fault !== undefined) this.span.setStatus({ code: SpanStatusCode.ERROR, message: fault });
    this.span.end();
  }
}

/** OT1. */
class JobIds implements IdGenerator {
  /** The job whose own span is made now. */
  next: string | null = null;

  generateTraceId(): string {
    return this.next === null ? randomBytes(16).toString('hex') : traceOf(this.next);
  }

  generateSpanId(): string {
    return this.next === null ? randomBytes(8).toString('hex') : rootOf(this.next);
  }
}

function traceOf(job: string): string {
  return job.replaceAll('-', '');
}

/** The span of the whole job. */
function rootOf(job: string): string {
  return traceOf(job).slice(16);
}

/** The id of the span that a traceparent names. */
function spanIn(traceparent: string): string {
  return traceparent.slice(36, 52);
}

function contextOf(job: string, spanId: string): ReturnType<Span['spanContext']> {
  return { traceId: traceOf(job), spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
}

function within(job: string, spanId: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, contextOf(job, spanId));
}

function attributesOf({ job, dataset }: TracedJob): Attributes {
  return { 'sluice.job': job, 'sluice.dataset': dataset };
}
