/** Asks Prometheus what Grafana would ask it, and gives the answers the form that Grafana's components take. */
import { type DataFrame, type Field, FieldType } from '@grafana/data';
import type { Drawing, Target } from './drawing.js';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [seconds: number, value: string];

/** One frame for each series: its values over the time range, null where there is none. */
export async function course(target: Target, { from, to, step, ...rest }: Drawing): Promise<DataFrame[]> {
  const expr = filledIn(target.expr, { from, to, step, ...rest });
  const form = { query: expr, start: String(from), end: String(to), step: String(step) };
  const series = await ask<{ metric: Labels; values: Sample[] }>(rest.prometheus, 'query_range', form);
  const times = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);
  return series.map(({ metric, values }) => {
    const known = new Map(values.map(([time, value]) => [Math.round(time), Number(value)]));
    const numbers = times.map((time) => known.get(Math.round(time)) ?? null);
    const name = legendOf(target, metric);
    return {
      fields: [
        field(
          'Time',
          FieldType.time,
          times.map((time) => time * 1_000),
        ),
        { ...field('Value', FieldType.number, numbers), labels: metric, config: { displayNameFromDS: name } },
      ],
      length: times.length,
    };
  });
}

/** One frame: a row for each series at the end of the time range, a column for each label. */
export async function rows(target: Target, drawing: Drawing): Promise<DataFrame> {
  const form = { query: filledIn(target.expr, drawing), time: String(drawing.to) };
  const series = await ask<{ metric: Labels; value: Sample }>(drawing.prometheus, 'query', form);
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return {
    fields: [
      field(
        'Time',
        FieldType.time,
        series.map(({ value }) => value[0] * 1_000),
      ),
      ...names.map((name) =>
        field(
          name,
          FieldType.string,
          series.map(({ metric }) => metric[name] ?? ''),
        ),
      ),
      field(
        'Value',
        FieldType.number,
        series.map(({ value }) => Number(value[1])),
      ),
    ],
    length: series.length,
  };
}

/** With All chosen for every variable. */
function filledIn(expr: string, { from, to, rateWindow }: Drawing): string {
  return expr
    .replaceAll('$__rate_interval', `${rateWindow}s`)
    .replaceAll('$__range', `${Math.ceil(to - from)}s`)
    .replaceAll(/\$(dataset|service|instance)\b/g, '.*');
}

function legendOf({ legendFormat = '' }: Target, labels: Labels): string {
  return legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}

function field(name: string, type: FieldType, values: unknown[]): Field {
  return { name, type, values, config: {} };
}

async function ask<T>(prometheus: string, path: string, form: Record<string, string>): Promise<T[]> {
  const request = { method: 'POST', body: new URLSearchParams(form) };
  const answer = await fetch(`${prometheus}/api/v1/${path}`, request);
  const { status, data, error } = await answer.json();
  if (status !== 'success') throw new Error(`Prometheus refuses ${form['query']}: ${error}`);
  return data.result;
}
