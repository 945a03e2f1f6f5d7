import { errorFacts } from '#common/errors/error-codes.js';
import { SluiceError, messageOf, type ErrorPlace } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';

/** What happened with its code, where, and what to do, each on a line of its own. */
export function errorText(error: unknown): string {
  const known = error instanceof SluiceError ? error : undefined;
  // A message may have several lines (the fields of a 422); each is made safe on its own.
  const [first = '', ...more] = messageOf(error).split('\n').map(plainText);
  const lines = [`error: ${first} [${known?.code ?? 'INTERNAL'}]`, ...more];
  if (known !== undefined && Object.keys(known.place).length > 0)
    lines.push(`  where: ${placeText(known.place)}`);
  lines.push(`  to do: ${known?.action ?? errorFacts('INTERNAL').action}`);
  return lines.map((line) => `${line}\n`).join('');
}

function placeText(place: ErrorPlace): string {
  return Object.entries(place)
    .map(([name, value]) => `${name} ${plainText(String(value))}`)
    .join(', ');
}
