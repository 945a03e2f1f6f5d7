/** Writes each jars.sha256 after a change of the pom.xml beside it: what Maven brings today is what every checkout must get. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

const PLACES = ['libs/local/src/kafka', 'bench/connect/worker', 'bench/connect/debezium'];

await runScript(async () => {
  await setup();
  const { fetchJars, sha256Of } = await importBuilt('libs/local/src/kafka/kafka-jars.js');
  for (const place of PLACES) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-jars-'));
    try {
      await fetchJars(folder, { name: place, pom: join(ROOT, place, 'pom.xml') });
      let sums = '';
      for (const jar of readdirSync(folder).sort()) sums += `${await sha256Of(join(folder, jar))}  ${jar}\n`;
      writeFileSync(join(ROOT, place, 'jars.sha256'), sums);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
});
