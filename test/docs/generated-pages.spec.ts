import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { generatedPages } from '../support/docs/generated-pages.js';
import { ROOT } from './markdown-files.js';

describe('pages that are written from the code', () => {
  it('are what `npm run docs` would write now', async () => {
    for (const { file, text } of await generatedPages(ROOT)) {
      expect({ file, text: readFileSync(join(ROOT, file), 'utf8') }).toEqual({ file, text });
    }
  });
});
