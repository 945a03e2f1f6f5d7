import { describe, expect, it } from '@jest/globals';
import { markdownFiles } from '../docs/markdown-files.js';
import { type Definition, definitionsIn, problemsOfDefinitions, unknownIds } from './invariant-ids.js';
import { proseOfSource, readSource, sourceFiles } from './source-prose.js';

const FOLDERS = ['apps', 'libs', 'test', 'scripts', 'bench'];
/** Its examples break the rules on purpose. */
const THIS = 'test/structure/invariant-ids.spec.ts';

const sources = sourceFiles(FOLDERS)
  .filter((file) => file !== THIS)
  .map((file) => ({ file, text: readSource(file) }))
  // Two files of three have nothing that looks like an id, and to parse one takes milliseconds.
  .filter(({ text }) => /[A-Z]\d/.test(text))
  .map(({ file, text }) => ({ file, prose: proseOfSource(file, text) }));
const definitions = sources.flatMap(({ file, prose }) => definitionsIn(file, prose));

describe('ids of invariants', () => {
  const header = (ids: readonly string[]): string =>
    `/**\n * Does it.\n *\n${ids.map((id) => ` * - ${id}: so it is.\n`).join('')} */\n`;
  const defined = (file: string, ...ids: string[]): Definition[] =>
    definitionsIn(file, proseOfSource(file, header(ids)));

  it('are read from headers, with the guarantee that they serve', () => {
    expect(
      defined('a.ts', 'AB1', 'AB2 (G5)').map(({ prefix, number, line }) => [prefix, number, line]),
    ).toEqual([
      ['AB', 1, 4],
      ['AB', 2, 5],
    ]);
    expect(problemsOfDefinitions(defined('a.ts', 'AB1', 'AB2 (G5)'))).toEqual([]);
  });

  it('have two capital letters, of one module, and numbers without gap', () => {
    expect(problemsOfDefinitions(defined('a.ts', 'A1', 'A2'))).toEqual(['A of a.ts has not two letters']);
    expect(problemsOfDefinitions([...defined('a.ts', 'AB1'), ...defined('b.ts', 'AB2')])).toEqual([
      'AB belongs to several modules: a.ts, b.ts',
    ]);
    expect(problemsOfDefinitions(defined('a.ts', 'AB3', 'AB1'))).toEqual([
      'AB of a.ts has the numbers 1, 3, not 1 to n',
    ]);
    expect(problemsOfDefinitions(defined('a.ts', 'AB1', 'AB1'))).toHaveLength(1);
  });

  it('are known wherever comments, titles and messages cite them', () => {
    const text = `
      // AB1 holds, S3 is a place, G10 a guarantee; AB2,
      // T5 and G11 are nothing.
      it('lasts (AB3)', () => {});
      it.each([['a gap (AB4)', 'AB5']])('%s: AB6', () => {});
      logger.warn({ id: 'AB7' }, 'AB8 ' + 'AB9');
      throw new SluiceError('AB10', \`AB11 \${1} AB12\`);
    `;
    const found = proseOfSource('b.spec.ts', text).flatMap((each) =>
      unknownIds(defined('a.ts', 'AB1'), 'b.spec.ts', each.text, each.line),
    );
    expect(found.map((each) => each.replace(' is no invariant of any module', ''))).toEqual([
      ...['b.spec.ts:2: AB2', 'b.spec.ts:3: T5', 'b.spec.ts:3: G11', 'b.spec.ts:4: AB3', 'b.spec.ts:5: AB6'],
      ...[
        'b.spec.ts:5: AB4',
        'b.spec.ts:6: AB8',
        'b.spec.ts:6: AB9',
        'b.spec.ts:7: AB11',
        'b.spec.ts:7: AB12',
      ],
    ]);
  });

  it('have two capital letters and one module everywhere, numbered from 1', () => {
    expect(definitions.length).toBeGreaterThan(250);
    expect(problemsOfDefinitions(definitions)).toEqual([]);
  });

  it('exist wherever the code cites them', () => {
    const found = sources.flatMap(({ file, prose }) =>
      prose.flatMap(({ text, line }) => unknownIds(definitions, file, text, line)),
    );
    expect(found).toEqual([]);
  });

  it('exist wherever pages cite them', () => {
    // A change log says what was, and a page's code is no prose.
    const pages = markdownFiles().filter(({ file }) => file !== 'CHANGELOG.md');
    const found = pages.flatMap(({ file, text }) => {
      const prose = text.replace(/^([ \t]*)```[^]*?^\1```/gm, (block) => block.replace(/[^\n]/g, ''));
      return unknownIds(definitions, file, prose.replace(/`[^`\n]*`/g, ''));
    });
    expect(found).toEqual([]);
  });
});
