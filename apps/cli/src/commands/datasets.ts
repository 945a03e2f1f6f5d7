import type { DatasetView } from '#api/datasets.js';
import { plainText } from '#common/text/plain-text.js';
import type { Exit } from '../exit-codes.js';
import { formatCount } from '../render/format.js';
import { type CliContext, connect, write } from './context.js';
import { warnOfRunningSystem } from './other-build.js';

/** `sluice datasets`: what can be run, how, and what its tables hold now. */
export async function datasets(context: CliContext, options: { readonly json?: boolean }): Promise<Exit> {
  const client = await connect(context);
  const found = await client.datasets();
  await warnOfRunningSystem(context, client, found);
  const text = options.json === true ? `${JSON.stringify(found)}\n` : found.map(datasetText).join('\n');
  await write(context.stdout, text);
  return 'success';
}

function datasetText(dataset: DatasetView): string {
  const facts: [string, string][] = [
    ['format', dataset.format],
    ['modes', dataset.writeModes.map((mode, i) => (i === 0 ? `${mode} (default)` : mode)).join(', ')],
    ['source', dataset.defaultSource ?? 'none of its own: name one by --source'],
  ];
  for (const [name, values] of Object.entries(dataset.options)) {
    facts.push([
      'option',
      `${name} = ${values.map((value, i) => (i === 0 ? `${value} (default)` : value)).join(' | ')}`,
    ]);
  }
  for (const { table, rows } of dataset.tables) facts.push(['table', `${table}, ${formatCount(rows)} rows`]);
  const lines = facts.map(([name, value]) => `  ${name.padEnd(7)} ${plainText(value)}\n`).join('');
  return `${dataset.name}: ${plainText(dataset.title)}\n${lines}`;
}
