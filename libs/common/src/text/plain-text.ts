/**
 * Text from outside (records, file names, answers of a server) made safe to be shown: a record must
 * not be able to move the cursor, set the window title or hide a line of the terminal it is listed on.
 */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

const NAMED: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** One line: line breaks, tabs and other control characters become visible escapes. */
export function plainText(text: string): string {
  return text.replace(CONTROL, (c) => NAMED[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A cell of a CSV: its own line breaks and tabs stay, what else would steer a terminal becomes visible. */
export function plainCell(text: string): string {
  return text.replace(CONTROL, (c, at: number) => {
    const isBreak = c === '\t' || c === '\n' || (c === '\r' && text[at + 1] === '\n');
    return isBreak ? c : plainText(c);
  });
}

/** At most `max` characters (code points), an ellipsis in place of the rest. */
export function shorten(text: string, max: number): string {
  const characters = Array.from(text);
  return characters.length <= max ? text : `${characters.slice(0, max - 1).join('')}…`;
}
