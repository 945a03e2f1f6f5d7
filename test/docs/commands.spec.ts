import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { messageOf } from '#common/errors/sluice-error.js';
import { buildProgram } from '../../apps/cli/src/commands/program.js';
import { CASES } from '../../bench/cases.js';
import { parseOptions } from '../../bench/options.js';
import { CliHarness } from '../support/cli/cli-harness.js';
import { MarkdownFile, ROOT, isInClone, markdownFiles } from './markdown-files.js';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
/** npm's own commands that pages may name. */
const NPM_COMMANDS = ['ci', 'install', 'test'];

/** A command within a line: up to what ends it for a shell or for a reader. */
const COMMAND = /(?:^|[\s"($])(npx sluice|sluice|npm run|npm|node) ([^|;&)"`#]+)/g;

describe('commands that the pages name', () => {
  const pages = markdownFiles();

  it('are found', () => {
    const found = pages.flatMap(commandsOf);
    expect(found).toEqual(expect.arrayContaining(['npm run demo', 'npm test', 'npx sluice up']));
    expect(problemOf('npx sluice run x --no-such-flag')).toContain('--no-such-flag');
    expect(problemOf('npx sluice fly')).toContain('fly');
    expect(problemOf('npm run fly')).toContain('fly');
    expect(problemOf('npx sluice watch a b')).toContain('arguments');
    expect(problemOf('npm run bench -- --only no-such-case')).toContain('no-such-case');
  });

  it('of the script that tests by path, which Jest would read as more names of projects', () => {
    expect(scripts['test:unit']).toMatch(/ --selectProjects unit --$/);
  });

  it('options that stand alone are looked up in the command that is named with them', () => {
    const problems = (text: string): string[] => bareOptionProblems(new MarkdownFile('page.md', text));
    expect(problems('- `resume` with a higher `--max-refused-share`')).toEqual([
      'page.md: `--max-refused-share` is no option of resume',
    ]);
    expect(problems('| `npx sluice run x` | `--dry-run` |')).toEqual([]);
    expect(problems('### `run <dataset>`\n\nWith `--limit N`, `--fly`.')).toEqual([
      'page.md: `--fly` is no option of run',
    ]);
    expect(problems('`--no-such-option` of nothing')).toHaveLength(1);
  });

  it.each(pages.map((page) => [page.file, page] as const))(
    '%s: every option that stands alone exists',
    (_file, page) => {
      expect(bareOptionProblems(page)).toEqual([]);
    },
  );

  it.each(pages.map((page) => [page.file, page] as const))('%s: all of them exist', (_file, page) => {
    expect(commandsOf(page).flatMap((command) => problemOf(command) ?? [])).toEqual([]);
  });
});

function commandsOf(page: MarkdownFile): string[] {
  const spans = page.codeSpans().filter((span) => /^(npx sluice|sluice|npm|node) /.test(span));
  return [...spans, ...page.codeLines()].flatMap((text) =>
    [...text.matchAll(COMMAND)].map(([, program = '', rest = '']) => `${program} ${rest.trim()}`),
  );
}

/** @returns what is wrong with it; undefined when it could be typed */
function problemOf(command: string): string | undefined {
  const words = command
    .replace(/ >.*/, '')
    .replaceAll(/[[\]]/g, '')
    .split(/\s+/)
    .filter((word) => word !== '…' && word !== '\\')
    // As a shell does.
    .map((word) => word.replace(/^'(.*)'$/, '$1'));
  const [program = '', ...rest] = words[0] === 'npx' ? words.slice(1) : words;
  if (program === 'sluice') return problemOfSluice(rest, command);
  if (program === 'npm') return problemOfNpm(rest, command);
  const script = rest.find((word) => word.startsWith('scripts/'));
  return script === undefined || isInClone(script) ? undefined : `${command}: there is no ${script}`;
}

function problemOfNpm([name = '', ...rest]: string[], command: string): string | undefined {
  if (name !== 'run') return NPM_COMMANDS.includes(name) ? undefined : `${command}: npm ${name}?`;
  const [script = '', dashes, ...args] = rest;
  if (!(script in scripts)) return `${command}: package.json has no script ${script}`;
  if (script === 'bench' && dashes === '--') return problemOfBench(args, command);
  // The demo hands its arguments on to the command of the same name.
  return script === 'demo' && dashes === '--' ? problemOfSluice(['demo', ...args], command) : undefined;
}

function problemOfBench(args: string[], command: string): string | undefined {
  try {
    parseOptions(args, CASES);
    return undefined;
  } catch (error) {
    return `${command}: ${messageOf(error)}`;
  }
}

function problemOfSluice([name = '', ...args]: string[], command: string): string | undefined {
  if (['', '<command>', '--help'].includes(name)) return undefined;
  const program = buildProgram(new CliHarness().context(), () => undefined);
  const found = program.commands.find((each) => each.name() === name);
  if (found === undefined) return `${command}: sluice has no command ${name}`;
  const { operands, unknown } = found.parseOptions(args.filter((arg) => arg !== '--help'));
  if (unknown.length > 0) return `${command}: ${name} does not know ${unknown.join(' ')}`;
  const takesMore = found.registeredArguments.at(-1)?.variadic === true;
  return takesMore || operands.length <= found.registeredArguments.length
    ? undefined
    : `${command}: too many arguments`;
}

/** Options of our scripts that are no commands of `sluice`; bench/options.ts and test/chaos/main.ts read them. */
const SCRIPT_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  bench: [
    '--only',
    '--rows',
    '--rounds',
    '--compare',
    '--out',
    '--profile',
    '--show',
    '--readme',
    '--list',
    '--help',
  ],
  chaos: ['--rounds', '--seed', '--from', '--rows', '--no-stream', '--plan'],
  demo: [],
  jest: ['--selectProjects', '--experimental-vm-modules'],
  test: ['--match'],
};
/** Options of other people's programs that pages mention. */
const FOREIGN_OPTIONS: readonly string[] = [];

/** Code spans that begin with `--`: each has to be an option of a command named in its paragraph, row, or heading. */
function bareOptionProblems(page: MarkdownFile): string[] {
  const problems: string[] = [];
  let headed: string[] = [];
  for (const block of blocksOf(page.text)) {
    const spans = [...block.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
    const named = spans.flatMap(commandNameIn);
    if (block.startsWith('#')) headed = named;
    for (const span of spans.filter((text) => text.startsWith('--'))) {
      const option = /^--[a-z-]*/.exec(span)?.[0] ?? '';
      const [near, far] = [named, headed].map((names) =>
        names.some((name) => optionsOf(name).includes(option)),
      );
      const isKnown = named.length + headed.length === 0 && ALL_OPTIONS.includes(option);
      if (near || far || isKnown || FOREIGN_OPTIONS.includes(option)) continue;
      const names = [...new Set([...named, ...headed])].join(', ') || 'any command';
      problems.push(`${page.file}: \`${span}\` is no option of ${names}`);
    }
  }
  return problems;
}

/** Paragraphs, items of lists and rows of tables; fenced blocks are read as commands above. */
function blocksOf(text: string): string[] {
  return text
    .replace(/^```[^]*?^```/gm, '')
    .split(/\n\s*\n|\n(?=\s*- |\s*\d+\. |\||#)/)
    .map((block) => block.trim());
}

/** `npx sluice run …`, `sluice run`, `run <dataset>`, `npm run bench -- …` */
function commandNameIn(span: string): string[] {
  const [first = '', second = ''] = span
    .replace(/^npx /, '')
    .replace(/^(npm run|sluice) /, '')
    .split(/[\s[]+/);
  const name = first === 'npm' ? second : first;
  return COMMANDS.has(name) || name in SCRIPT_OPTIONS ? [name] : [];
}

const COMMANDS = new Map(
  buildProgram(new CliHarness().context(), () => undefined).commands.map((command) => [
    command.name(),
    [...command.options.map(({ long }) => long ?? ''), '--help'],
  ]),
);

function optionsOf(name: string): readonly string[] {
  return [...(COMMANDS.get(name) ?? []), ...(SCRIPT_OPTIONS[name] ?? [])];
}

const ALL_OPTIONS = [
  '--help',
  '--version',
  ...[...COMMANDS.keys(), ...Object.keys(SCRIPT_OPTIONS)].flatMap(optionsOf),
];
