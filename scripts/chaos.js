/** `npm run chaos -- --rounds N --seed S`: random faults over random jobs (test/chaos/main.ts says what it takes). */
import { runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

await runScript(async () => {
  await setup({ kafka: true });
  await importBuilt('test/chaos/main.js');
});
