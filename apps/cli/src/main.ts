#!/usr/bin/env node
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSettings } from '#common/config/environment.js';
import { OWN_BUILD } from '#common/telemetry/build.js';
import { CheckoutSystem } from '#local/checkout-system.js';
import { checkoutFolder } from '#local/folders.js';
import { CliConfig } from './cli.config.js';
import { WAITING } from './commands/follow-job.js';
import { runCli } from './commands/program.js';

/** The command line as a process: the real streams, the real clock, the real Ctrl-C. */

// `sluice jobs | head`: the reader stops early, which is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

const manifest = JSON.parse(readFileSync(join(checkoutFolder(), 'package.json'), 'utf8')) as {
  version: string;
};

process.exitCode = await runCli(process.argv.slice(2), {
  version: manifest.version,
  build: OWN_BUILD,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  settings: () => loadSettings(CliConfig),
  local: new CheckoutSystem(),
  waiting: WAITING,
  now: () => performance.now(),
  onInterrupt: (handler) => {
    process.once('SIGINT', handler).once('SIGTERM', handler);
    return () => process.off('SIGINT', handler).off('SIGTERM', handler);
  },
});
