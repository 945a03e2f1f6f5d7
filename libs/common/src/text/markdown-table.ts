/** A table of Markdown, aligned as prettier aligns it where no character is wider than one column. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = titles.map((_, at) => Math.max(3, ...lines.map((cells) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |\n`;
  const [first = [], ...others] = lines;
  return line(first) + line(widths.map((width) => '-'.repeat(width))) + others.map(line).join('');
}
