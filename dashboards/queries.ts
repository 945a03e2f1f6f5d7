/**
 * Queries of Prometheus, made from the catalogue of metrics: one that names a metric or a label that the catalogue does not
 * have does not compile.
 *
 * - QU1: a total is summed over instances, because each instance counts its own part. A state that every instance reads from
 *   the same database is the highest that one of them says.
 * - QU2: where no series means none, zero is derived from a series of the service that would report it ({@link orZero}). It
 *   disappears with that service, so a service that is away never looks like one that has nothing to report.
 */
import type { MetricName } from '#common/telemetry/metric-catalogue.js';
import type { CounterName, GaugeName, HistogramName, LabelsOf } from '#common/telemetry/metrics.js';

/** Of the catalogue; `service` is in every series, and Prometheus adds `instance`. */
type Label<Name extends MetricName> = LabelsOf<Name> | 'service' | 'instance';
type By<Name extends MetricName> = readonly Label<Name>[];
/** Label → matcher with its operator: `{ level: '=~"error|fatal"' }`. */
type Filter<Name extends MetricName> = Readonly<Partial<Record<Label<Name>, string>>>;

/** The datasets that are chosen at the top of a dashboard. */
export const CHOSEN_DATASET = { dataset: '=~"$dataset"' } as const;
/** The topics of the datasets that are chosen at the top of a dashboard. */
export const CHOSEN_TOPICS = { topic: String.raw`=~".+\\.$dataset\\..+"` } as const;
/** The processes that are chosen at the top of a dashboard. */
export const CHOSEN_PROCESS = { service: '=~"$service"', instance: '=~"$instance"' } as const;
/** The window of a rate that Grafana chooses: several scrapes, and at least one step of the graph. */
const RATE = '$__rate_interval';
/** The time range that is chosen at the top of a dashboard. */
export const RANGE = '$__range';

export function series<Name extends MetricName>(name: Name, filter?: Filter<Name>): string {
  return withFilter(name, filter);
}

/** Per second, summed over instances. */
export function rate<Name extends CounterName>(name: Name, by: By<Name> = [], filter?: Filter<Name>): string {
  return `sum${grouping(by)} (rate(${withFilter(name, filter)}[${RATE}]))`;
}

/**
 * How much a counter has risen in a window, summed over instances. A series that is newer than the window counts from zero:
 * `increase` alone leaves out the first step of a counter, which may be the only one.
 */
export function rise<Name extends CounterName>(
  name: Name,
  window: string,
  by: By<Name> = [],
  filter?: Filter<Name>,
): string {
  return `sum${grouping(by)} (${risen(withFilter(name, filter), window)})`;
}

/** Of a state that each instance reads from the same database: the highest that one of them says, summed over the other labels (QU1). */
export function state<Name extends GaugeName>(name: Name, by: By<Name> = [], filter?: Filter<Name>): string {
  return `max${grouping(by)} (sum by (${[...by, 'instance'].join(', ')}) (${withFilter(name, filter)}))`;
}

export function highest<Name extends GaugeName>(
  name: Name,
  by: By<Name> = [],
  filter?: Filter<Name>,
): string {
  return `max${grouping(by)} (${withFilter(name, filter)})`;
}

export function sum<Name extends GaugeName>(name: Name, by: By<Name> = [], filter?: Filter<Name>): string {
  return `sum${grouping(by)} (${withFilter(name, filter)})`;
}

/** Also of a single observation, the first that there is. @param q between 0 and 1 */
export function quantile<Name extends HistogramName>(
  q: number,
  name: Name,
  by: By<Name> = [],
  filter?: Filter<Name>,
): string {
  const buckets = risen(withFilter(`${name}_bucket`, filter), RATE);
  return `histogram_quantile(${q}, sum by (${['le', ...by].join(', ')}) (${buckets}))`;
}

/** Seconds of every second that was spent in what the histogram measures: 1 is one that never rests. */
export function busy<Name extends HistogramName>(
  name: Name,
  by: By<Name> = [],
  filter?: Filter<Name>,
): string {
  return `sum${grouping(by)} (rate(${withFilter(`${name}_sum`, filter)}[${RATE}]))`;
}

/** Seconds that were spent in what the histogram measures, in a window. */
export function spent<Name extends HistogramName>(
  name: Name,
  window: string,
  by: By<Name> = [],
  filter?: Filter<Name>,
): string {
  return `sum${grouping(by)} (${risen(withFilter(`${name}_sum`, filter), window)})`;
}

/**
 * QU2.
 * @param witness a metric that the reporting service has whenever it can report
 * @param label of the query's series, by which the legend names them: it is `none` for the zero
 */
export function orZero(query: string, witness: MetricName, label?: string): string {
  const zero = `max(${witness}) * 0`;
  const named = label === undefined ? `(${zero})` : `label_replace(${zero}, "${label}", "none", "", "")`;
  return `${query} or on () ${named}`;
}

/** How many processes of the service answer Prometheus: without a series none does, so zero is true here. */
export function answering(service: string): string {
  return `count(${withFilter('sluice_build_info', { service: `="${service}"` })}) or vector(0)`;
}

/** Of Node and of the process, which prom-client exports; they are not in the catalogue. */
export function ofProcess(metric: string, filter: Readonly<Record<string, string>> = {}): string {
  return withFilter(metric, { ...CHOSEN_PROCESS, ...filter });
}

function risen(counter: string, window: string): string {
  return `(${counter} unless ${counter} offset ${window}) or increase(${counter}[${window}])`;
}

function withFilter(name: string, filter: Readonly<Partial<Record<string, string>>> = {}): string {
  const matchers = Object.entries(filter).map(([label, matcher = '']) => label + matcher);
  return matchers.length === 0 ? name : `${name}{${matchers.join(', ')}}`;
}

function grouping(by: readonly string[]): string {
  return by.length === 0 ? '' : ` by (${by.join(', ')})`;
}
