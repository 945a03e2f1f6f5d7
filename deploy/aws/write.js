/** `npm run aws:synth -- --write`: writes the committed files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { committedFiles, exampleTemplate } from './committed.js';

for (const [name, text] of Object.entries(committedFiles(exampleTemplate())))
  writeFileSync(join(import.meta.dirname, name), text);
