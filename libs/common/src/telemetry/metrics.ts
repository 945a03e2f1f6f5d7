/** Makes metrics from the catalogue: one that it does not list, or with another type or label, does not compile. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { METRICS, type MetricName } from './metric-catalogue.js';

type Named<Type extends string> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[MetricName];

export type CounterName = Named<'counter'>;
export type GaugeName = Named<'gauge'>;
export type HistogramName = Named<'histogram'>;
export type LabelsOf<Name extends MetricName> = (typeof METRICS)[Name]['labels'][number];

/** @param collect runs at each scrape, before the counter is read */
export function counter<Name extends CounterName>(
  registry: Registry,
  name: Name,
  collect?: (counter: Counter<LabelsOf<Name>>) => void,
): Counter<LabelsOf<Name>> {
  const made: Counter<LabelsOf<Name>> = new Counter<LabelsOf<Name>>({
    ...definition(registry, name),
    ...(collect && {
      collect: () => {
        collect(made);
      },
    }),
  });
  return made;
}

/** @param collect runs at each scrape, before the gauge is read */
export function gauge<Name extends GaugeName>(
  registry: Registry,
  name: Name,
  collect?: (gauge: Gauge<LabelsOf<Name>>) => void | Promise<void>,
): Gauge<LabelsOf<Name>> {
  const made: Gauge<LabelsOf<Name>> = new Gauge<LabelsOf<Name>>({
    ...definition(registry, name),
    ...(collect && { collect: () => collect(made) }),
  });
  return made;
}

/** Its buckets are those of the catalogue. */
export function histogram<Name extends HistogramName>(
  registry: Registry,
  name: Name,
): Histogram<LabelsOf<Name>> {
  return new Histogram<LabelsOf<Name>>({
    ...definition(registry, name),
    buckets: [...METRICS[name].buckets],
  });
}

function definition<Name extends MetricName>(
  registry: Registry,
  name: Name,
): { name: Name; help: string; labelNames: LabelsOf<Name>[]; registers: Registry[] } {
  const { help, labels } = METRICS[name];
  return { name, help, labelNames: [...labels], registers: [registry] };
}
