/** `npm run bench`: measures Sluice beside psql (bench/README.md says what, bench/main.ts what it takes). */
import { runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

await runScript(async () => {
  await setup({ kafka: true });
  await importBuilt('bench/main.js');
});
