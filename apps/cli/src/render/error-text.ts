import { SluiceError, messageOf, type ErrorPlace } from '#common/errors/sluice-error.js';
import { plainText } from './plain-text.js';

/** What happened, where, and what to do, each on a line of its own. */
export function errorText(error: unknown): string {
  if (!(error instanceof SluiceError)) return `error: ${lines(messageOf(error))} [INTERNAL]\n`;
  const place = placeText(error.place);
  const where = place === '' ? '' : `  where: ${place}\n`;
  return `error: ${lines(error.message)} [${error.code}]\n${where}  to do: ${error.action}\n`;
}

/** Messages may have several lines (the fields of a 422); each is made safe on its own. */
const lines = (text: string): string => text.split('\n').map(plainText).join('\n');

function placeText(place: ErrorPlace): string {
  return Object.entries(place)
    .map(([name, value]) => `${name} ${plainText(String(value))}`)
    .join(', ');
}
