#!/usr/bin/env node
/** The command `sluice`: makes a fresh clone ready when needed, then is the built command line. */
import { runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

await runScript(async () => {
  await setup();
  await importBuilt('apps/cli/src/main.js');
});
