/** `npm run demo`: from a fresh clone to loaded rows. Arguments go to `sluice demo`. */
import { runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

await runScript(async () => {
  await setup({ kafka: true });
  process.argv.splice(2, 0, 'demo');
  await importBuilt('apps/cli/src/main.js');
});
