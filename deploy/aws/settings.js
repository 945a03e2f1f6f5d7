/** The context parameters of the stack, checked before anything is made. */

/**
 * @typedef {object} StackSettings
 * @property {string} environment part of every name, so that several systems fit into one account
 * @property {string} mail address that the alarms are sent to
 * @property {number} retentionDays after which CloudWatch deletes a log line
 */

/** What CloudWatch Logs takes, in days. */
const RETENTIONS = [
  ...[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
  ],
];

/**
 * @param {(name: string) => unknown} contextOf the value of a context parameter; undefined: not given
 * @returns {StackSettings}
 * @throws {Error} that names the parameter and what it has to be
 */
export function stackSettings(contextOf) {
  const environment = String(contextOf('environment') ?? '');
  const mail = String(contextOf('mail') ?? '');
  const retentionDays = Number(contextOf('retentionDays'));
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(environment))
    throw new Error(wrong('environment', 'production', 'up to 31 of a-z, 0-9 and "-", beginning with a-z'));
  if (!/^[^@\s]+@[^@\s]+$/.test(mail))
    throw new Error(wrong('mail', 'operations@example.com', 'a mail address'));
  if (!RETENTIONS.includes(retentionDays))
    throw new Error(wrong('retentionDays', '90', `one of ${RETENTIONS.join(', ')}`));
  return { environment, mail, retentionDays };
}

/** @param {string} name @param {string} example @param {string} what */
function wrong(name, example, what) {
  return `The context parameter ${name} must be ${what}: --context ${name}=${example}`;
}
