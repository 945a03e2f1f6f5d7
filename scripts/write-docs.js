/** Writes the pages of docs/ that are made from the code; test/docs/generated-pages.spec.ts fails when one is stale. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.js';
import { ROOT } from './refusal.js';

if (!isBuilt()) build();
const { generatedPages } = await import('../dist/test/support/docs/generated-pages.js');
for (const { file, text } of await generatedPages(ROOT)) {
  writeFileSync(join(ROOT, file), text);
  process.stdout.write(`${file}\n`);
}
