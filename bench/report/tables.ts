import { type TableColumn, renderTable } from '../../apps/cli/src/render/table.js';
import { formatBytes, formatCount } from '../../apps/cli/src/render/format.js';
import type { ComparedRatio } from './compare.js';
import { WORSE_SHARE } from './compare.js';
import type { BenchResult, CaseResult, RatioResult, Run } from './result.js';
import { median, spreadOf } from './statistics.js';

/** What a person reads of a result. */
export function resultText(result: BenchResult): string {
  return [headText(result), ...result.cases.map(caseText)].join('\n');
}

/** Where and with what it was measured. */
export function headText({ at, commit, dirty, machine, versions, settings }: BenchResult): string {
  const { cores, cpu, memoryGb, platform } = machine;
  const list = (facts: Readonly<Record<string, string>>): string =>
    Object.entries(facts)
      .map(([name, value]) => `  ${name} = ${value}\n`)
      .join('');
  return (
    `${at}, commit ${commit}${dirty ? ', changed since' : ''}\n` +
    `${cores} cores (${cpu}), ${memoryGb} GB, ${platform}\n` +
    `${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}\n` +
    (Object.keys(settings).length === 0 ? '' : `settings:\n${list(settings)}`)
  );
}

export function caseText(result: CaseResult): string {
  const { name, rows, runs, ratios, notes } = result;
  const labels = groupByLabel(runs);
  return [
    `\n## ${name}, ${formatCount(rows)} rows\n`,
    renderTable(labels, runs.some(({ bytes }) => bytes !== undefined) ? [...SECONDS, SPEED] : SECONDS),
    partsText(labels),
    costText(labels, 'CPU seconds', ({ cpuSeconds }) => cpuSeconds, median, oneDecimal),
    costText(labels, 'peak MB', ({ peakMb }) => peakMb, largest, whole),
    costText(labels, 'broker bytes', ({ brokerBytes }) => brokerBytes, median, formatBytes),
    ratios.length === 0 ? '' : renderTable(ratios, RATIOS),
    notes.map((note) => `- ${note}\n`).join(''),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

export function comparisonText(ratios: readonly ComparedRatio[]): string {
  const worse = ratios.filter(({ isWorse }) => isWorse);
  const verdict =
    worse.length === 0
      ? `No ratio got worse by more than ${100 * WORSE_SHARE} %.`
      : `Worse by more than ${100 * WORSE_SHARE} %: ${worse.map((each) => `${each.case}, ${each.ratio}`).join('; ')}.`;
  return `${renderTable(ratios, COMPARED)}${verdict}\n`;
}

interface LabelRuns {
  readonly label: string;
  readonly runs: readonly Run[];
}

const SECONDS: readonly TableColumn<LabelRuns>[] = [
  { title: 'seconds of', value: ({ label }) => label },
  { title: 'rounds', align: 'right', value: ({ runs }) => String(runs.length) },
  { title: 'min', align: 'right', value: ({ runs }) => seconds(spreadOf(secondsOf(runs)).min) },
  { title: 'median', align: 'right', value: ({ runs }) => seconds(spreadOf(secondsOf(runs)).median) },
  { title: 'max', align: 'right', value: ({ runs }) => seconds(spreadOf(secondsOf(runs)).max) },
  { title: 'rows/s', align: 'right', value: ({ runs }) => formatCount(rowsPerSecond(runs)) },
];

const SPEED: TableColumn<LabelRuns> = {
  title: 'MB/s',
  align: 'right',
  value: ({ runs }) => {
    const bytes = runs[0]?.bytes;
    return bytes === undefined ? '' : (bytes / 1e6 / median(secondsOf(runs))).toFixed(1);
  },
};

const RATIOS: readonly TableColumn<RatioResult>[] = [
  { title: 'ratio', value: ({ name }) => name },
  { title: 'min', align: 'right', value: ({ min }) => min.toFixed(2) },
  { title: 'median', align: 'right', value: (ratio) => ratio.median.toFixed(2) },
  { title: 'max', align: 'right', value: ({ max }) => max.toFixed(2) },
  {
    title: 'target',
    align: 'right',
    value: ({ target }) => (target === null ? '' : `≤ ${target.toFixed(2)}`),
  },
  { title: '', value: reachedText },
];

const COMPARED: readonly TableColumn<ComparedRatio>[] = [
  { title: 'case', value: (compared) => compared.case },
  { title: 'ratio', value: ({ ratio }) => ratio },
  { title: 'before', align: 'right', value: ({ before }) => before.toFixed(2) },
  { title: 'now', align: 'right', value: ({ now }) => now.toFixed(2) },
  {
    title: 'change',
    align: 'right',
    value: ({ change }) => `${change < 0 ? '' : '+'}${(100 * change).toFixed(0)} %`,
  },
  { title: '', value: ({ isWorse }) => (isWorse ? 'WORSE' : '') },
];

/** `reached` when the median is; nothing without a target. */
export function reachedText({ target, median: value }: RatioResult): string {
  if (target === null) return '';
  return value <= target ? 'reached' : 'not reached';
}

/** In the order of their first runs. */
function groupByLabel(runs: readonly Run[]): LabelRuns[] {
  const labels = [...new Set(runs.map(({ label }) => label))];
  return labels.map((label) => ({ label, runs: runs.filter((run) => run.label === label) }));
}

/** Parts are of interest label by label: each has its own. */
function partsText(labels: readonly LabelRuns[]): string {
  return labels
    .map(({ label, runs }) => {
      const names = namesOf(runs, ({ parts }) => parts);
      const rows = names.map((name) => ({ name, values: valuesOf(runs, ({ parts }) => parts, name) }));
      if (rows.length === 0) return '';
      return renderTable(rows, [
        { title: `median seconds of ${label}`, value: ({ name }) => name },
        { title: '', align: 'right', value: ({ values }) => seconds(median(values)) },
      ]);
    })
    .filter((text) => text !== '')
    .join('\n');
}

type Figures = Readonly<Record<string, number>> | undefined;

/** Labels down, names across. */
function costText(
  labels: readonly LabelRuns[],
  title: string,
  figuresOf: (run: Run) => Figures,
  reduce: (values: readonly number[]) => number,
  format: (value: number) => string,
): string {
  const names = namesOf(
    labels.flatMap(({ runs }) => runs),
    figuresOf,
  );
  if (names.length === 0) return '';
  return renderTable(labels, [
    { title, value: ({ label }) => label },
    ...names.map((name): TableColumn<LabelRuns> => {
      const value = ({ runs }: LabelRuns): string => {
        const values = valuesOf(runs, figuresOf, name);
        return values.length === 0 ? '' : format(reduce(values));
      };
      return { title: name, align: 'right', value };
    }),
  ]);
}

function namesOf(runs: readonly Run[], figuresOf: (run: Run) => Figures): string[] {
  return [...new Set(runs.flatMap((run) => Object.keys(figuresOf(run) ?? {})))];
}

function valuesOf(runs: readonly Run[], figuresOf: (run: Run) => Figures, name: string): number[] {
  return runs.flatMap((run) => figuresOf(run)?.[name] ?? []);
}

const secondsOf = (runs: readonly Run[]): number[] => runs.map((run) => run.seconds);

/** At the median of the seconds; all runs of a label have the same rows. */
function rowsPerSecond(runs: readonly Run[]): number {
  return (runs[0]?.rows ?? 0) / median(secondsOf(runs));
}

const largest = (values: readonly number[]): number => Math.max(...values);
const whole = (value: number): string => formatCount(value);
const oneDecimal = (value: number): string => value.toFixed(1);
/** About three digits that count. */
const seconds = (value: number): string => value.toFixed(value < 0.1 ? 4 : value < 10 ? 2 : 1);
