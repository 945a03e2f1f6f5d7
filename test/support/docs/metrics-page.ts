import { markdownTable } from '#common/text/markdown-table.js';
import { METRICS, type MetricFacts, type MetricSource } from '#common/telemetry/metric-catalogue.js';

/** docs/metrics.md, from the catalogue in the code. */
export function metricsPage(): string {
  return [INTRODUCTION, ...SECTIONS.map(section)].join('\n');
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from the code. Change the code, not this page. -->

# Metrics

\`/metrics\` of each service answers in Prometheus' text format, with Node's default metrics and those of Sluice below. Names, types and
labels are stable. Every series has the label \`service\`; Prometheus adds \`instance\`. Labels name datasets, never jobs or keys, so the
number of series does not grow with what is loaded.
`;

interface Section {
  readonly title: string;
  readonly holds: (from: readonly MetricSource[]) => boolean;
}

const SECTIONS: readonly Section[] = [
  ...(['ingestor', 'validator', 'loader', 'tracker'] as const).map((service) => ({
    title: `Of the ${service}`,
    holds: (from: readonly MetricSource[]) => from.length === 1 && from[0] === service,
  })),
  { title: 'Of several services', holds: (from) => from.length > 1 },
];

function section({ title, holds }: Section): string {
  const all: [string, MetricFacts][] = Object.entries(METRICS);
  const metrics = all.filter(([, { from }]) => holds(from));
  const table = markdownTable(['metric', 'type', 'unit', 'labels', 'from'], metrics.map(row));
  return `## ${title}\n\n${table}\n${metrics.map(item).join('')}`;
}

function row([name, { type, unit, labels, from }]: [string, MetricFacts]): string[] {
  return [code(name), type, unit, labels.map(code).join(', '), from.join(', ')];
}

function item([name, { help, lookWhen, buckets }]: [string, MetricFacts]): string {
  const bounds = buckets ? ` Buckets: ${buckets.join(', ')}.` : '';
  return `- ${code(name)}: ${help.replace(/\.$/, '')}.${bounds} Look at it when ${lookWhen}.\n`;
}

function code(text: string): string {
  return `\`${text}\``;
}
