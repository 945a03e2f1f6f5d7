import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { ROOT } from '../test/docs/markdown-files.js';
import { shownDashboards } from '../test/operations/panel-queries.js';

const FOLDER = 'docs/images/dashboards';
const MAX_BYTES = 150_000;

it('docs/dashboards.md shows one picture of each dashboard, with a text for who cannot see it, and no picture is left over', () => {
  const page = readFileSync(join(ROOT, 'docs/dashboards.md'), 'utf8');
  const expected = shownDashboards().map(({ uid }) => `images/dashboards/${uid}.png`);
  const shown = [...page.matchAll(/!\[([^\]]+)\]\(([^)]+\.png)\)/g)].map(([, text = '', path = '']) => ({
    path,
    isDescribed: text.length > 20,
  }));
  expect(shown.map(({ path }) => path).sort()).toEqual([...expected].sort());
  expect(shown.filter(({ isDescribed }) => !isDescribed)).toEqual([]);
  const stored = readdirSync(join(ROOT, FOLDER)).map((name) => `images/dashboards/${name}`);
  expect(stored.sort()).toEqual([...expected].sort());
  const large = stored.filter((path) => statSync(join(ROOT, 'docs', path)).size > MAX_BYTES);
  expect(large).toEqual([]);
});

it('every kind of panel that the dashboards have is one that the pictures can show', () => {
  const kinds = new Set(shownDashboards().flatMap(({ panels }) => panels.map(({ type }) => type)));
  const drawer = join(ROOT, 'dashboards/pictures/page/panels.tsx');
  expect(existsSync(drawer)).toBe(true);
  const code = readFileSync(drawer, 'utf8');
  expect([...kinds].filter((kind) => !code.includes(`'${kind}'`))).toEqual([]);
});
