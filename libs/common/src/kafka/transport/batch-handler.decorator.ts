import {
  type ArgumentsHost,
  Catch,
  type RpcExceptionFilter,
  UseFilters,
  applyDecorators,
} from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { type Observable, throwError } from 'rxjs';
import type { IncomingMessage } from '../message.js';

/**
 * What a handler gets: consecutive messages of one partition. When its promise resolves, their offsets are
 * committed; when it is rejected, the partition pauses and the same messages come again.
 */
export interface Delivery {
  readonly topic: string;
  readonly partition: number;
  readonly messages: readonly IncomingMessage[];
  /** When the first of them was written, in ms since 1970 by its producer's clock. */
  readonly writtenAt: number;
  /** Call after each slice of work: heartbeats stop when it has not been called for too long. */
  readonly progress: () => void;
  /**
   * True once the partition is no longer ours, or the process drains. A handler that sees this may stop early:
   * nothing of the delivery is committed, and all of its messages come again, here or elsewhere.
   */
  readonly isStale: () => boolean;
  /** Asks for no delivery of this partition for `restMs` after this one; other partitions continue. */
  readonly rest: (restMs: number) => void;
}

/** Nest would replace any error by "Internal server error"; the transport must see the real one. */
@Catch()
class RethrowFilter implements RpcExceptionFilter {
  catch(exception: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => exception);
  }
}

/** Marks a controller's method as the handler of one kind of topic, e.g. `raw`. */
export function BatchHandler(kind: string): MethodDecorator {
  return applyDecorators(EventPattern(kind) as MethodDecorator, UseFilters(RethrowFilter));
}
