/** docs/runbooks.md inside Grafana, so that an alert or a panel leads to what to do without another server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from './frame.js';
import { WHOLE_WIDTH, text } from './panels.js';
import { RUNBOOKS } from './uids.js';

/** Of a panel that has half of the width; a shorter estimate costs a scroll bar. */
const CHARACTERS_OF_A_LINE = 95;
const LINES_OF_A_ROW = 1.2;

/** @param root the top folder */
export function runbooks(root: string): Page {
  const page = readFileSync(join(root, 'docs', 'runbooks.md'), 'utf8');
  const [introduction = '', ...sections] = page.split(/^## /m);
  const panels = sections.map((section) => {
    const [title = '', ...lines] = section.split('\n');
    return text(title, withoutLinks(lines.join('\n').trim()), WHOLE_WIDTH / 2, heightOf(section));
  });
  const about = introduction.replace(/^# .*\n/, '').trim();
  return {
    uid: RUNBOOKS,
    title: 'Runbooks',
    description: 'What each alert means, where to look and what to do: docs/runbooks.md.',
    variables: [],
    rows: [
      { title: 'About', panels: [text('Runbooks', withoutLinks(about), WHOLE_WIDTH, heightOf(about))] },
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

function heightOf(markdown: string): number {
  const lines = markdown
    .split('\n\n')
    .reduce((sum, part) => sum + Math.ceil(part.length / CHARACTERS_OF_A_LINE) + 1, 2);
  return Math.max(6, Math.ceil(lines / LINES_OF_A_ROW));
}
