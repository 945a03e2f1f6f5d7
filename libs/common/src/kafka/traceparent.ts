import type { OutgoingMessage, RawHeaders } from './message.js';

/**
 * The trace context of W3C in the headers of messages: version, trace, span, flags. Here it names the span that made the message;
 * the trace follows from the job.
 */
const HEADER = 'traceparent';
const FORM = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;

/** @param traceparent undefined while traces are off: the message as it is */
export function withTraceparent(message: OutgoingMessage, traceparent: string | undefined): OutgoingMessage {
  if (traceparent === undefined) return message;
  return { ...message, headers: { ...message.headers, [HEADER]: traceparent } };
}

/** @returns undefined for none, and for what is none: a trace is never a reason to refuse a message */
export function traceparentOf(headers: RawHeaders): string | undefined {
  const found = headers[HEADER];
  if (found === undefined || Array.isArray(found)) return undefined;
  const text = found.toString();
  return FORM.test(text) ? text : undefined;
}
