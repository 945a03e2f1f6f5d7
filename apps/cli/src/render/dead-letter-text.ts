import type { DeadLetterView } from '#api/dead-letters.js';
import { plainText, shorten } from '#common/text/plain-text.js';
import { formatCount } from './format.js';
import type { Paint } from './paint.js';
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
    `${placeOf(letter)}${sqlstate}\n` +
    `${reasons.join('')}  ${paint('dim', shorten(plainText(letter.text), SHOWN_CHARACTERS))}\n`
  );
}

/** Of a message: where it stands in its topic, and its key, which is what its producer knows it by. */
function placeOf({ line, job, record, message }: DeadLetterView): string {
  // A tracker of an older build does not send the member.
  if (!message) return `line ${formatCount(line)} of job ${job}, record ${formatCount(record)}`;
  const { topic, partition, offset, key } = message;
  const shown = key?.text ?? (key?.base64 === undefined ? null : `${key.base64} (base64)`);
  const keyed = shown === null ? '' : `, key ${shorten(plainText(shown), SHOWN_CHARACTERS)}`;
  return `message ${topic}/${partition}/${offset}${keyed}, of job ${job}, record ${formatCount(record)}`;
}
