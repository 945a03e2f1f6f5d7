import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT, markdownFile } from './markdown-files.js';

describe('metrics', () => {
  it('are all in docs/operations.md, and no others', () => {
    const documented = markdownFile('docs/operations.md')
      .codeSpans()
      .filter((span) => /^sluice_[a-z_]+$/.test(span));
    expect([...new Set(documented)].sort()).toEqual(metricsInCode());
  });
});

/** Names given to prom-client: `name: 'sluice_…'`. */
function metricsInCode(): string[] {
  const names = ['apps', 'libs'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map(String)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('spec.ts'))
      .flatMap((file) => [
        ...readFileSync(join(ROOT, folder, file), 'utf8').matchAll(/name: '(sluice_[a-z_]+)'/g),
      ])
      .map(([, name]) => name ?? ''),
  );
  return [...new Set(names)].sort();
}
