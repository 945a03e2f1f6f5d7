import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { formatCount } from '../../apps/cli/src/render/format.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { markdownTable } from '#common/text/markdown-table.js';
import { storedResults } from './result-store.js';
import type { BenchResult, CaseResult, RatioResult } from './result.js';
import { reachedText } from './tables.js';

/** The README's figures: what stands between `<!-- bench -->` and `<!-- /bench -->`, written from a stored result. */

/** From the top folder. */
export const RESULTS_FOLDER = join('bench', 'results');
const BEGIN = '<!-- bench -->';
const END = '<!-- /bench -->';
/** The case without which a result has no place there. */
export const README_CASE = 'whole-way';

/**
 * The README as it has to be.
 * @param root the top folder
 * @param rows of `whole-way`
 */
export async function readmeWithFigures(root: string, rows: number): Promise<string> {
  const file = join(root, 'README.md');
  const result = resultForReadme(storedResults(join(root, RESULTS_FOLDER)), rows);
  const page = withBlock(readFileSync(file, 'utf8'), readmeBlock(result));
  return format(page, { ...(await resolveConfig(file)), parser: 'markdown' });
}

/**
 * @param results the newest first
 * @param rows of the case, so that a quick run does not count
 */
export function resultForReadme(results: readonly BenchResult[], rows: number): BenchResult | undefined {
  return results.find(({ cases }) => cases.some((each) => each.name === README_CASE && each.rows === rows));
}

/** Markdown, not yet formatted. */
export function readmeBlock(result: BenchResult | undefined): string {
  if (result === undefined) {
    return 'No result is stored yet: `npm run bench` measures, and writes its figures here.\n';
  }
  const { machine, at, commit, dirty, cases } = result;
  const shown = cases.flatMap((each) =>
    each.ratios.filter((ratio) => isShown(each, ratio)).map((ratio) => ({ rows: each.rows, ratio })),
  );
  const rows = shown.map(({ rows: count, ratio }) => [
    ratio.name,
    formatCount(count),
    ratio.median.toFixed(2),
    `${ratio.min.toFixed(2)} – ${ratio.max.toFixed(2)}`,
    ratio.target === null ? '' : `≤ ${ratio.target.toFixed(2)}, ${reachedText(ratio)}`,
  ]);
  const rounds = new Set(cases.flatMap(({ runs }) => runs.map(({ round }) => round))).size;
  return (
    `${markdownTable(['ratio', 'rows', 'median', 'range', 'target'], rows)}\n` +
    `Measured on ${at.slice(0, 10)} at commit ${commit.slice(0, 7)}${dirty ? ' with changes' : ''}: ` +
    `${machine.cores} cores, ${machine.memoryGb} GB, ${versionsText(result)}; ` +
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'} in turns.\n` +
    'Written by `npm run bench` from the newest result in `bench/results`.\n'
  );
}

/** @throws SluiceError INTERNAL when the page has no place for it */
export function withBlock(page: string, block: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new SluiceError('INTERNAL', `The page has no ${BEGIN} … ${END}.`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${block.trim()}\n\n${page.slice(end)}`;
}

function isShown({ name }: CaseResult, { target }: RatioResult): boolean {
  return name === README_CASE || target !== null;
}

function versionsText({ versions }: BenchResult): string {
  return ['Node', 'Kafka', 'PostgreSQL', 'psql']
    .flatMap((name) => (versions[name] === undefined ? [] : [`${name} ${versions[name]}`]))
    .join(', ');
}
