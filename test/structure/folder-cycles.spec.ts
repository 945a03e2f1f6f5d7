import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../docs/markdown-files.js';
import { cyclesOfFolders, productFiles } from './folder-cycles.js';

describe('folders that import each other', () => {
  it('are found through aliases, relative paths, types, re-exports and several rooms, each circle once', () => {
    const files = new Map([
      ['libs/core/src/job/job.ts', "import type { Stage } from '../message/event.js';\n"],
      ['libs/core/src/message/event.ts', "import {\n  isFinal,\n} from '#core/job/job.js';\n"],
      ['apps/one/src/a/a.ts', "export * from '../b/deep/b.js';\nimport '../a/other.js';\n"],
      ['apps/one/src/a/other.ts', ''],
      ['apps/one/src/b/deep/b.ts', "const c = await import('../../c/c.js');\n"],
      ['apps/one/src/c/c.ts', "import { a } from '../a/a.js';\n"],
      ['apps/one/src/main.ts', "import { a } from './a/a.js';\nimport { b } from './b/deep/b.js';\n"],
    ]);
    expect(cyclesOfFolders(files)).toEqual([
      'apps/one/src/a → apps/one/src/b → apps/one/src/c → apps/one/src/a (apps/one/src/a/a.ts imports ' +
        'apps/one/src/b/deep/b.ts; apps/one/src/b/deep/b.ts imports apps/one/src/c/c.ts; apps/one/src/c/c.ts imports ' +
        'apps/one/src/a/a.ts)',
      'libs/core/src/job → libs/core/src/message → libs/core/src/job (libs/core/src/job/job.ts imports ' +
        'libs/core/src/message/event.ts; libs/core/src/message/event.ts imports libs/core/src/job/job.ts)',
    ]);
  });

  it('are nowhere in apps and libs', () => {
    const files = productFiles(ROOT);
    expect(files.size).toBeGreaterThan(300);
    expect(cyclesOfFolders(files)).toEqual([]);
  });
});
