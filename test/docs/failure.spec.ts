import { describe, expect, it } from '@jest/globals';
import { markdownFile } from './markdown-files.js';
import { exists, testsOf } from './named-tests.js';

/** Says how to run all of it at once. */
const WITHOUT_TESTS = 'Everything at once';

describe('docs/failure.md', () => {
  const page = markdownFile('docs/failure.md');
  const [, ...headings] = page.headings().filter((heading) => heading !== WITHOUT_TESTS);

  it('says of every service what becomes of its work', () => {
    expect(headings).toEqual(
      expect.arrayContaining(['The ingestor', 'A validator', 'A loader', 'The tracker']),
    );
  });

  it.each(headings)('%s: its tests exist, under the titles given', (heading) => {
    const tests = testsOf(page, heading);
    expect(tests).not.toEqual([]);
    expect(tests.filter((test) => !exists(test))).toEqual([]);
  });
});
