import type { DeadLetterView } from '#core/job/job-view.js';
import { formatCount } from './format.js';
import type { Paint } from './paint.js';
import { plainText, shorten } from '#common/text/plain-text.js';
import { reasonText } from './reason-text.js';

const SHOWN_CHARACTERS = 160;

/** One refused record for people: its place, every reason, its first characters. */
export function deadLetterText(letter: DeadLetterView, paint: Paint): string {
  const reasons = letter.findings.map((finding) => {
    const code = paint(finding.severity === 'error' ? 'red' : 'yellow', finding.code);
    return `  ${code}  ${plainText(reasonText(finding))}\n`;
  });
  const sqlstate = letter.sqlstate === null ? '' : `, SQLSTATE ${letter.sqlstate}`;
  return (
    `line ${formatCount(letter.line)} of job ${letter.job}, record ${formatCount(letter.record)}${sqlstate}\n` +
    `${reasons.join('')}  ${paint('dim', shorten(plainText(letter.text), SHOWN_CHARACTERS))}\n`
  );
}
