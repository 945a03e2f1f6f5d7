/** Writes jars.sha256 anew after a change of pom.xml: what Maven brings today is what every checkout must get. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, runScript } from './refusal.js';
import { importBuilt, setup } from './setup.js';

await runScript(async () => {
  await setup();
  const { fetchJars, sha256Of } = await importBuilt('libs/local/src/kafka/kafka-jars.js');
  const folder = mkdtempSync(join(tmpdir(), 'sluice-jars-'));
  try {
    await fetchJars(folder);
    let sums = '';
    for (const jar of readdirSync(folder).sort()) sums += `${await sha256Of(join(folder, jar))}  ${jar}\n`;
    writeFileSync(join(ROOT, 'libs/local/src/kafka/jars.sha256'), sums);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
