/** A service that exports a metric. */
export type MetricSource = 'ingestor' | 'validator' | 'loader' | 'tracker';

/** What is promised about a metric. Its name ends with its unit, and a counter's with `_total`. */
export interface MetricFacts {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What one step of the value is: `seconds` and `bytes` are base units, anything else is counted. */
  readonly unit: string;
  readonly help: string;
  /** Bounded sets of values, never ids. The default label `service` and the scrape's `instance` come on top. */
  readonly labels: readonly string[];
  readonly from: readonly MetricSource[];
  /** Completes "look at it when …". */
  readonly lookWhen: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricList = Readonly<Record<`sluice_${string}`, MetricFacts>>;
