import type { ResolvedDialect } from '../dataset/csv-dialect.js';
import type { CorrectionFault, FieldText } from './correct-record.js';

/**
 * A value as a field of a CSV record, so that it is read as this value again. PURE. Quoted only where it has to be, or
 * where the field was quoted before.
 */
export function csvField(
  value: FieldText,
  { delimiter, quote, backslash, skippedStarts }: ResolvedDialect,
  { quoted, first }: { readonly quoted: boolean; readonly first: boolean },
): string | CorrectionFault {
  if (value === null) return backslash ? '\\N' : '';
  const problem = problemOf(value);
  if (problem !== null) return problem;
  const mark = quote === -1 ? null : String.fromCharCode(quote);
  const separator = String.fromCharCode(delimiter);
  let text = backslash ? value.replaceAll('\\', '\\\\') : value;
  const isSkipped = first && skippedStarts.some((start) => value.startsWith(start.toString()));
  const isSpecial =
    /[\r\n]/.test(value) || value.includes(separator) || (mark !== null && value.includes(mark)) || isSkipped;
  if (mark !== null && (isSpecial || quoted)) return mark + text.replaceAll(mark, mark + mark) + mark;
  if (!isSpecial) return text;
  if (!backslash)
    return unwritable('the dialect has no quotes, so no field can hold its delimiter or a line break');
  text = text.replaceAll(separator, `\\${separator}`).replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  // The character behind a backslash is text, whatever it is; those that mean something else there begin no line to skip.
  return isSkipped && !/^[nrtbfv0N\\]/.test(text) ? `\\${text}` : text;
}

/** What no record can hold, in any format. */
export function problemOf(value: string): CorrectionFault | null {
  if (value.includes('\0')) return unwritable('a value cannot hold NUL');
  return value.isWellFormed() ? null : unwritable('a value cannot hold half of a surrogate pair');
}

function unwritable(message: string): CorrectionFault {
  return { reason: 'VALUE_UNWRITABLE', message };
}
