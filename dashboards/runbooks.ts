/** docs/runbooks.md inside Grafana, so that an alert or a panel leads to what to do without another server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from './frame.js';
import { WHOLE_WIDTH, text } from './panels.js';
import { RUNBOOKS } from './uids.js';

/** Of a panel that has half of the width; too low an estimate costs a scroll bar. */
const CHARACTERS_OF_A_LINE = 95;
const LINES_OF_A_ROW = 2;
const COLUMNS = 2;

/** @param root the top folder */
export function runbooks(root: string): Page {
  const page = readFileSync(join(root, 'docs', 'runbooks.md'), 'utf8');
  const [introduction = '', ...sections] = page.split(/^## /m);
  const panels = sections.map((section, index) => {
    const [title = '', ...lines] = section.split('\n');
    // Neighbours are equally high, so that no hole is left under the shorter one.
    const first = index - (index % COLUMNS);
    const height = Math.max(...sections.slice(first, first + COLUMNS).map((each) => heightOf(each)));
    return text(title, withoutLinks(lines.join('\n').trim()), WHOLE_WIDTH / COLUMNS, height);
  });
  const about = introduction.replace(/^# .*\n/, '').trim();
  return {
    uid: RUNBOOKS,
    title: 'Runbooks',
    description: 'What each alert means, where to look and what to do: docs/runbooks.md.',
    variables: [],
    rows: [
      {
        title: 'About',
        panels: [text('Runbooks', withoutLinks(about), WHOLE_WIDTH, heightOf(about, COLUMNS))],
      },
      { title: 'Alerts', panels },
    ],
  };
}

/** Other pages are not in Grafana: a link to `errors.md` is its name, one within the page its text. */
function withoutLinks(markdown: string): string {
  return markdown
    .replace(/\[([^\]]+)\]\(#[^)]*\)/g, '$1')
    .replace(/\[([^\]]+)\]\(([\w-]+\.md)(#[^)]*)?\)/g, (_, name: string, file: string) =>
      name === file ? `docs/${file}` : `${name} (docs/${file})`,
    );
}

/** @param columns of those of the text that the panel has */
function heightOf(markdown: string, columns = 1): number {
  const lines = markdown
    .split('\n\n')
    .reduce((sum, part) => sum + Math.ceil(part.length / (columns * CHARACTERS_OF_A_LINE)) + 1, 3);
  return Math.max(4, Math.ceil(lines / LINES_OF_A_ROW));
}
