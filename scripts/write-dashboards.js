/** Writes dashboards/json from the code; dashboards/dashboards.spec.ts fails when a file is stale. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.js';
import { ROOT } from './refusal.js';

if (!isBuilt()) build();
const { dashboardFiles } = await import('../dist/dashboards/dashboards.js');
for (const { file, text } of dashboardFiles(ROOT)) {
  writeFileSync(join(ROOT, file), text);
  process.stdout.write(`${file}\n`);
}
