#!/usr/bin/env node
/** The command `sluice`: makes a fresh clone ready when needed, then is the built command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runScript } from './refusal.js';
import { importBuilt, isInstalled, setup } from './setup.js';

/** What a fresh clone can say without minutes of installing: the commands, as docs/cli.md lists them. */
function helpOfFreshClone() {
  const page = readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8');
  const commands = [...page.matchAll(/^(?:- |### )`([a-z][^`]*)`(?:: (.*?)(?:\. |\.?$))?/gm)];
  const lines = commands.map(([, usage, meaning]) => `  ${usage}${meaning ? `\n      ${meaning}` : ''}\n`);
  return (
    `Usage: npx sluice <command> [arguments] [options]\n\n${lines.join('')}\n` +
    'The packages of this clone are not installed yet: any command installs and builds them first (some minutes).\n' +
    'More: docs/cli.md\n'
  );
}

await runScript(async () => {
  const args = process.argv.slice(2);
  if (['', '--help', '-h', 'help'].includes(args[0] ?? '') && !isInstalled()) {
    process.stdout.write(helpOfFreshClone());
    return;
  }
  await setup();
  await importBuilt('apps/cli/src/main.js');
});
