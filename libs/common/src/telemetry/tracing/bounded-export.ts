import type { BatchSpanProcessor, ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';

type Callback = Parameters<SpanExporter['export']>[1];

/**
 * What stands between spans and their receiver, on both sides of OpenTelemetry's own queue.
 *
 * - BX1: at most `maxWaiting` spans wait for the receiver; those beyond are dropped, and nothing waits for the receiver.
 * - BX2: every span that has ended is exported, dropped or waiting, and counted as that.
 * - BX3: a receiver that is away is one line of the log, and so is its return.
 */
export class BoundedExport {
  private waiting = 0;
  private isAway = false;
  private readonly counted = { exported: 0, dropped: 0 };

  constructor(
    private readonly maxWaiting: number,
    private readonly logger: Logger,
  ) {}

  /** Since the process began. */
  get counts(): Readonly<{ exported: number; dropped: number }> {
    return this.counted;
  }

  /** The receiver's side. */
  exporter(inner: SpanExporter): SpanExporter {
    return {
      export: (spans: ReadableSpan[], callback: Callback) => {
        inner.export(spans, (result) => {
          this.settle(spans.length, result.code === 0, result.error);
          callback(result);
        });
      },
      shutdown: () => inner.shutdown(),
      forceFlush: async () => inner.forceFlush?.(),
    };
  }

  /** The spans' side. */
  processor(inner: BatchSpanProcessor): SpanProcessor {
    return {
      onStart: () => undefined,
      onEnd: (span) => {
        if (this.waiting >= this.maxWaiting) {
          this.counted.dropped += 1;
          return;
        }
        this.waiting += 1;
        inner.onEnd(span);
      },
      forceFlush: () => inner.forceFlush(),
      shutdown: () => inner.shutdown(),
    };
  }

  private settle(spans: number, isExported: boolean, error: Error | undefined): void {
    this.waiting -= spans;
    this.counted[isExported ? 'exported' : 'dropped'] += spans;
    if (isExported === !this.isAway) return;
    this.isAway = !isExported;
    if (isExported) this.logger.info(this.counted, 'the receiver of traces takes spans again');
    else
      this.logger.warn(
        { reason: error?.message ?? 'unknown' },
        'the receiver of traces takes no spans; they are dropped until it does',
      );
  }
}
