import { createContext, Script } from 'node:vm';
import type { FieldReplace } from '#api/dead-letter-edits.js';
import { ProblemError } from '#common/http/problem-details.filter.js';

/** Of all values of a page: a pattern that looks back again and again would stand in the way of everything else. */
const MAX_MS = 1_000;

const TOO_MUCH = 'too much';
/** Characters that a pattern makes of the values of a page, which have 2 Mi at most, but for one larger record (G9). */
export const MAX_MADE = 32 * 1024 * 1024;

/**
 * Adds up what the replacements of a value can have at most before it makes them: one value of 256 Ki characters, each of them
 * replaced by all before it, would have 32 Gi. A reference to a group
 * is counted as the longest one of the match, and one to what stands before or behind it as the whole value.
 */
const REPLACE = new Script(`
  const references = (replacement.match(/[$]/g) ?? []).length;
  const around = /[$][\`']/.test(replacement);
  let made = 0;
  const add = (length) => {
    made += length;
    if (made > most) throw 'too much';
  };
  values.map((value) => {
    if (replacement === '') return value.replace(pattern, '');
    add(value.length);
    value.replace(pattern, (...found) => {
      let longest = around ? value.length : 0;
      if (references > 0)
        for (const group of found) {
          // Behind the groups stand the place of the match and the value itself.
          if (typeof group === 'number') break;
          if (group !== undefined && group.length > longest) longest = group.length;
        }
      add(replacement.length + references * longest);
      return '';
    });
    return value.replace(pattern, replacement);
  });
`);

/**
 * A regular expression that came with a request, applied page by page. It runs apart from everything else and is ended
 * after MAX_MS, or before its results have more than MAX_MADE characters.
 */
export class Pattern {
  private readonly pattern: RegExp;

  /** @throws SluiceError REQUEST_INVALID when it is no regular expression */
  constructor(
    private readonly given: FieldReplace,
    private readonly most = MAX_MADE,
  ) {
    const { pattern, flags = '' } = given;
    try {
      this.pattern = new RegExp(pattern, `u${flags}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : '';
      throw new ProblemError('REQUEST_INVALID', `replace: the pattern cannot be read. ${why}`, 422);
    }
  }

  /** @throws SluiceError REQUEST_INVALID when it takes too long, or makes too much */
  replace(values: readonly string[]): readonly string[] {
    const { pattern } = this;
    const context = createContext({ values, pattern, replacement: this.given.replacement, most: this.most });
    try {
      return REPLACE.runInContext(context, { timeout: MAX_MS }) as readonly string[];
    } catch (error) {
      if (error === TOO_MUCH) {
        const detail = `replace: what the replacement for ${this.given.field} makes of ${values.length} values may have more than ${this.most} characters. Make the replacement shorter, or correct fewer dead letters at a time.`;
        throw new ProblemError('REQUEST_INVALID', detail, 422);
      }
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      const detail = `replace: the pattern for ${this.given.field} took longer than ${MAX_MS} ms for ${values.length} values. Make it simpler: a repeat inside a repeat takes very long.`;
      throw new ProblemError('REQUEST_INVALID', detail, 422);
    }
  }
}
