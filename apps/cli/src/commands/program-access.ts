/** The commands about who may do what, and who did, as `program.ts` has all others. */
import { Argument, type Command, Option } from 'commander';
import { AUDIT_ACTIONS } from '#common/access/audit-actions.js';
import { ROLES } from '#common/access/role-names.js';
import type { Exit } from '../exit-codes.js';
import { type AuditOptions, audit } from './audit.js';
import type { CliContext } from './context.js';
import { parseCount, parseDays } from './option-values.js';
import { TOKEN_ACTIONS, type TokenAction, type TokenOptions } from './token-options.js';

type Add = (usage: string, description: string, example: string) => Command;

const JSON_HELP = 'print JSON instead of text';

export function addAccessCommands(add: Add, context: CliContext, ended: (exit: Exit) => void): void {
  add('token', 'Make, list and revoke the tokens of the HTTP ports', 'token create grafana --role read')
    .addArgument(new Argument('<action>', 'what to do').choices(TOKEN_ACTIONS))
    .argument('[name]', 'of the token, for create and revoke')
    .addOption(new Option('--role <role>', 'for create: read, operate or admin').choices(ROLES))
    .option('--expires <days>', 'for create: after how many days it expires, e.g. 90d', parseDays)
    .option('--json', JSON_HELP)
    .action(async (action: TokenAction, name: string | undefined, options: TokenOptions) => {
      const { token } = await import('./token.js'); // pg: no other command waits for it
      ended(await token(context, action, name, options));
    });
  add('audit', 'Show who gave which command, and what became of it', 'audit --who ci --last 50')
    .option('--last <N>', 'show at most N', parseCount, 20)
    .option('--who <name>', 'only commands of this token, OIDC subject or user')
    .addOption(new Option('--action <action>', 'only commands of this kind').choices(AUDIT_ACTIONS))
    .option('--dataset <name>', 'only commands that name this dataset')
    .option('--json', JSON_HELP)
    .action(async (options: AuditOptions) => {
      ended(await audit(context, options));
    });
}
