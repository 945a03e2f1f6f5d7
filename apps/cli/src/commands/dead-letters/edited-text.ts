import type { CheckReason, Damage, DeadLetterCheck, DeadLettersEdited } from '#api/dead-letter-edits.js';
import { plainText } from '#common/text/plain-text.js';
import { counted, formatCount } from '../../render/format.js';

/** What a correction has done, or would do, for people. PURE. */
export function editedText(answer: DeadLettersEdited): string {
  const { dryRun, edited, removed, unchanged, problems, warnings, check } = answer;
  const done = dryRun ? 'would be corrected' : edited === 1 ? 'is corrected' : 'are corrected';
  return [
    `${counted(edited, 'refused record')} ${done}.\n`,
    removed === 0
      ? ''
      : `${counted(removed, 'correction')} ${dryRun ? 'would be taken back' : removed === 1 ? 'is taken back' : 'are taken back'}.\n`,
    unchanged === 0 ? '' : `${counted(unchanged, 'refused record')} without a change.\n`,
    ...problems.map(({ code, field, message, count, ids }) => {
      const where = field === null ? '' : ` ${plainText(field)}`;
      const more = count > ids.length ? ', …' : '';
      return `Left alone: ${formatCount(count)} ${code}${where}: ${plainText(message)}: ${ids.join(', ')}${more}\n`;
    }),
    ...warnings.map(
      ({ code, field, count, examples }) =>
        `Warning: in ${counted(count, 'record')} ${plainText(field)} ${DAMAGES[code]}, e.g. ${examples[0] ?? ''}\n`,
    ),
    edited + removed === 0 ? '' : checkText(check),
  ].join('');
}

const DAMAGES: Readonly<Record<Damage, string>> = {
  LEADING_ZEROS: 'has lost leading zeros or its sign, as by a spreadsheet',
  SCIENTIFIC: 'is in scientific notation now, as by a spreadsheet',
  DIGITS_LOST: 'has zeros for its last digits now, as by a spreadsheet',
  NUMBER_REWRITTEN: 'is the same number written otherwise, as by a spreadsheet',
  DATE_SWAPPED: 'may have day and month swapped, as by a spreadsheet',
  DATE_REWRITTEN: 'is written as a date now, as by a spreadsheet',
  ENCODING: 'has lost characters, as by another encoding',
  BOOLEAN_REWRITTEN: 'is in capitals now, as by a spreadsheet',
};

/** What would become of dead letters if they were sent again now. PURE. */
export function checkText(check: DeadLetterCheck): string {
  const { checked, passing, refused, unsendable, reasons, unsendableReasons, unknown } = check;
  return [
    `Of ${formatCount(checked)}, the contract accepts ${formatCount(passing)}, refuses ${formatCount(refused)}; ` +
      `${formatCount(unsendable)} cannot be sent.\n`,
    ...reasons.map((reason) => reasonLine(reason)),
    ...unsendableReasons.map((reason) => reasonLine(reason)),
    `Only the loader can say: ${unknown.join(', ')}.\n`,
  ].join('');
}

function reasonLine({ code, field, count, examples }: CheckReason): string {
  const where = field === null ? '' : ` ${plainText(field)}`;
  return `  ${formatCount(count)} ${plainText(code)}${where}, e.g. ${examples.join(', ')}\n`;
}
