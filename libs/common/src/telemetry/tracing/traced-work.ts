/** What the stages know of traces. No part of OpenTelemetry is loaded by it. */

/** A job is a trace. */
export interface TracedJob {
  /** A UUID. */
  readonly job: string;
  readonly dataset: string;
}

export type TraceFacts = Readonly<Record<string, string | number>>;

export interface JobWork {
  /** Names and numbers; never a record, a key or a credential. */
  readonly attributes?: TraceFacts;
  /** Traceparent of the span that this is a part of; the whole job when left out. */
  readonly parent?: string | undefined;
  /** Traceparents of what this goes back to, besides. */
  readonly links?: readonly string[];
}

/** Work that is under way: a span that has not ended. */
export interface TracedWork {
  /** For the headers of messages that the work makes. */
  readonly traceparent: string;
  /** A part of the work has ended now. */
  took(name: string, seconds: number): void;
  /** @param fault why it failed: an error code */
  end(fault?: string): void;
}

/** Absent (null) while traces are off: then nothing of this is called. No call waits or throws. */
export interface Tracing {
  begin(name: string, of: TracedJob, work?: JobWork): TracedWork;
  /** A stage of a job has ended now. */
  took(name: string, of: TracedJob, seconds: number, attributes?: TraceFacts): void;
  /**
   * The job has ended now.
   * @param beganAtMs in milliseconds since 1970
   */
  ended(of: TracedJob, state: string, beganAtMs: number): void;
  /** Spans that have reached the receiver, and those that never will. */
  readonly spans: { readonly exported: number; readonly dropped: number };
  /** Sends what waits, for a moment at most. */
  close(): Promise<void>;
}
