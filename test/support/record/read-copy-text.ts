const LETTERS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/**
 * Reads COPY text as PostgreSQL does ("COPY, Text Format"): an escape that means nothing is its character, `\N` alone is
 * NULL, a line `\.` ends everything. So a writer's mistake shows as another value, as it would in the table.
 */
export function readCopyText(text: Buffer): (string | null)[][] {
  const rows: (string | null)[][] = [];
  for (const line of text.toString().match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    if (line === '\\.\n') return rows;
    if (line.includes('\r')) throw new RangeError(`A bare carriage return, which COPY refuses: ${line}`);
    if (!line.endsWith('\n')) throw new RangeError(`The last row has no line end: ${line}`);
    rows.push(line.slice(0, -1).split('\t').map(readValue));
  }
  return rows;
}

function readValue(value: string): string | null {
  if (value === '\\N') return null;
  return value.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[^])/g, (_, escape: string) => {
    if (/^x[0-9a-fA-F]/.test(escape)) return String.fromCharCode(parseInt(escape.slice(1), 16));
    if (/^[0-7]/.test(escape)) return String.fromCharCode(parseInt(escape, 8));
    return LETTERS[escape] ?? escape;
  });
}
