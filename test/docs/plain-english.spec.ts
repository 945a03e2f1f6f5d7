import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES } from '#common/errors/error-codes.js';
import { buildProgram } from '../../apps/cli/src/commands/program.js';
import { readSource, sourceFiles } from '../structure/source-prose.js';
import { CliHarness } from '../support/cli/cli-harness.js';
import { ROOT, markdownFiles } from './markdown-files.js';
import { AVOIDED_WORDS, avoidedWordsIn, avoidedWordsOfSource, proseOf } from './plain-words.js';

/** What a table row may have before its table has to become a list: more cannot be read raw. */
const LONGEST_ROW = 200;

/** Their tables are the right form: a name, and short columns beside one long one. `npm run docs` writes them. */
const GENERATED = ['docs/configuration.md', 'docs/errors.md'];

/** Whose comments, messages and titles of tests are read too. A folder that has been rewritten is added here. */
const CLEAN_FOLDERS = [
  ...['apps/cli', 'apps/ingestor', 'apps/loader', 'apps/tracker', 'apps/validator'],
  ...[
    'libs/api',
    'libs/common',
    'libs/core',
    'libs/datasets',
    'libs/local',
    'bench',
    'dashboards',
    'scripts',
    'test',
  ],
];

const pages = markdownFiles();
const cases = pages.map((page) => [page.file, page.text] as const);

describe('plain English', () => {
  it('finds each word, in whatever form and however lines break, and says what to write', () => {
    const text =
      '# Title\n\nThe job goes\non, and `goes on` is code. Capital letters; dead letters, and letters.\n';
    expect(avoidedWordsIn('page.md', proseOf(text))).toEqual([
      'page.md:3: "goes on" (go on): write "continue", "resume" or "proceed"',
      'page.md:4: "letters" (letter): write "dead letter", or "refused record"',
    ]);
    expect(new Set(AVOIDED_WORDS.map(({ word }) => word)).size).toBe(AVOIDED_WORDS.length);
  });

  it('has pages to look at', () => {
    expect(pages.map(({ file }) => file)).toEqual(expect.arrayContaining(['CHANGELOG.md', 'README.md']));
  });

  it.each(cases)('%s has no word to avoid', (file, text) => {
    expect(avoidedWordsIn(file, proseOf(text))).toEqual([]);
  });

  it.each(cases.filter(([file]) => !GENERATED.includes(file)))(
    '%s has no table with long rows',
    (file, text) => {
      const rows = text.split('\n').flatMap((line, index) => {
        const { length } = line;
        const isLong = /^\s*\|/.test(line) && length > LONGEST_ROW;
        return isLong ? [`${file}:${index + 1}: a row of ${length} characters; make the table a list`] : [];
      });
      expect(rows).toEqual([]);
    },
  );

  it('error codes: meanings and actions have no word to avoid', () => {
    const file = 'libs/common/src/errors/error-codes.ts';
    const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
    const found = Object.entries(ERROR_CODES).flatMap(([code, { meaning, action }]) => {
      const line = lines.findIndex((each) => each.startsWith(`  ${code}: {`)) + 1;
      return [meaning, action].flatMap((text) => avoidedWordsIn(file, text.replace(/`[^`]+`/g, ''), line));
    });
    expect(found).toEqual([]);
  });

  it('finds words in comments, messages and titles, and in no other part of a source', () => {
    const text = `
      /** Goes
       * on; \`goes on\` and {@link goesOn} are names. */
      const nobody = 'nobody'; // whoever
      // So
      // many.
      logger.info({ nobody: 'nobody' }, \`the job \${nobody} went on\`);
      it.each([['not one', 'somebody']])('%s is told', (nobody) => {});
      throw new SluiceError('ANEW', 'begin ' + 'anew');
    `;
    expect(
      avoidedWordsOfSource('a.spec.ts', text).map((each) =>
        each.replace(/ \(.*/, '').slice('a.spec.ts:'.length),
      ),
    ).toEqual([
      ...['2: "Goes on"', '4: "whoever"', '5: "So many"', '7: "went on"'],
      ...['8: "told"', '8: "not one"', '9: "anew"'],
    ]);
  });

  it.each(CLEAN_FOLDERS)('the sources of %s have no word to avoid', (folder) => {
    const files = sourceFiles([folder]);
    expect(files).not.toEqual([]);
    expect(files.flatMap((file) => avoidedWordsOfSource(file, readSource(file)))).toEqual([]);
  });

  it('the help of the command line has no word to avoid', () => {
    const program = buildProgram(new CliHarness().context(), () => undefined);
    const found = [program, ...program.commands].flatMap((command) => {
      const place = command === program ? 'sluice --help' : `sluice ${command.name()} --help`;
      return avoidedWordsIn(place, command.helpInformation());
    });
    expect(found).toEqual([]);
  });
});
