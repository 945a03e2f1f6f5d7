/**
 * `npm run coverage`: which lines and branches of the sources the unit and medium tests reach, in one run of Jest. The table is
 * printed by folder; coverage/index.html shows every line. What runs in processes of its own (whole systems, the e2e
 * tests, `main.ts`) is not counted.
 *
 *   npm run coverage                  unit and medium
 *   npm run coverage -- unit          unit alone
 *   npm run coverage -- unit cutter   only the tests whose path matches
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, sep } from 'node:path';
import { Refusal, ROOT, runScript } from './refusal.js';
import { setup } from './setup.js';
import { run, startServers } from './test-servers.js';

const PARTS = ['unit', 'medium'];
const SOURCES = [
  '{apps,libs}/**/src/**/*.ts',
  '!**/*spec.ts',
  '!**/testing/**',
  '!**/main.ts',
  // Types alone leave nothing to run.
  '!**/*.d.ts',
];
const OUTPUT = 'coverage';

await runScript(async () => {
  const words = process.argv.slice(2);
  const parts = PARTS.filter((part) => words.includes(part));
  const patterns = words.filter((word) => !PARTS.includes(word));
  if (patterns.some((word) => word.startsWith('-')))
    throw new Refusal('Usage: npm run coverage -- [unit] [medium] [PATTERN …]');
  const projects = parts.length === 0 ? PARTS : parts;
  const needsServers = projects.includes('medium');
  await setup({ kafka: needsServers });
  const servers = [];
  try {
    if (needsServers) await startServers(servers);
    const { JEST } = await import('./jest.js');
    process.exitCode = await run([
      ...[...JEST, '--selectProjects', ...projects, '--coverage', '--coverageProvider=v8'],
      ...[`--maxWorkers=${Math.max(2, availableParallelism())}`, `--coverageDirectory=${OUTPUT}`],
      ...['--coverageReporters=json-summary', '--coverageReporters=html', '--silent'],
      ...SOURCES.map((glob) => `--collectCoverageFrom=${glob}`),
      ...(patterns.length > 0 ? ['--', ...patterns] : []),
    ]);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  printFolders(JSON.parse(readFileSync(join(ROOT, OUTPUT, 'coverage-summary.json'), 'utf8')));
});

/** One row an app or room, with the shares of lines, branches and functions that are reached. */
function printFolders(summary) {
  const folders = new Map();
  for (const [path, counts] of Object.entries(summary)) {
    if (path === 'total') continue;
    const [top, name, , room = ''] = relative(ROOT, path).split(sep);
    const folder = top === 'libs' && name === 'core' ? `libs/core/src/${room}` : `${top}/${name}`;
    const of = folders.get(folder) ?? { lines: [0, 0], branches: [0, 0], functions: [0, 0] };
    for (const kind of Object.keys(of)) {
      of[kind][0] += counts[kind].covered;
      of[kind][1] += counts[kind].total;
    }
    folders.set(folder, of);
  }
  const share = ([covered, total]) =>
    `${(total === 0 ? 100 : (100 * covered) / total).toFixed(1)} %`.padStart(8);
  const row = (name, of) =>
    `${name.padEnd(28)} ${['lines', 'branches', 'functions'].map((kind) => share(of[kind])).join('  ')}\n`;
  process.stdout.write(`\n${''.padEnd(28)}    lines  branches  functions\n`);
  for (const name of [...folders.keys()].sort()) process.stdout.write(row(name, folders.get(name)));
  const { lines, branches, functions } = summary.total;
  const pair = ({ covered, total }) => [covered, total];
  process.stdout.write(
    row('total', { lines: pair(lines), branches: pair(branches), functions: pair(functions) }),
  );
}
