/** The encoding that a dataset says its files have (`Dataset.encoding`). PURE. */

/**
 * What TextDecoder calls the encoding; null when it has none of this name.
 * @param label as the WHATWG encoding standard lists them, e.g. `big5`, `utf-16le`, `latin1`
 */
export function encodingOf(label: string): string | null {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return null;
  }
}

/** Whether a source of this encoding has to be decoded before anything reads it. */
export function isDecoded(label: string | undefined): label is string {
  return label !== undefined && encodingOf(label) !== 'utf-8';
}

/** What is wrong with `Dataset.encoding`, as a clause; null when nothing is. */
export function encodingProblem(encoding: unknown): string | null {
  if (encoding === undefined) return null;
  if (typeof encoding === 'string' && encodingOf(encoding) !== null) return null;
  return `encoding is ${JSON.stringify(encoding)}, which is no label of the WHATWG encoding standard that this Node.js can decode`;
}

const NAMES: Readonly<Record<string, string>> = {
  big5: 'Big5',
  shift_jis: 'Shift_JIS',
  'iso-2022-jp': 'ISO-2022-JP',
};

/** The encoding's name in a sentence: `Big5`, `GB18030`, `UTF-16LE`, `windows-1252`. */
export function encodingName(label: string): string {
  const encoding = encodingOf(label) ?? label;
  return NAMES[encoding] ?? (/^(windows|x|macintosh)/.test(encoding) ? encoding : encoding.toUpperCase());
}
