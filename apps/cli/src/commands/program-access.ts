/** The commands about who may do what, and who did, as `program.ts` has all others. */
import { Argument, type Command, Option } from 'commander';
import { AUDIT_ACTIONS } from '#common/access/audit-actions.js';
import { ROLES } from '#common/access/role-names.js';
import type { Exit } from '../exit-codes.js';
import { type AuditOptions, audit } from './audit.js';
import type { CliContext } from './context.js';
import { type LoginOptions, contexts, login, logout, use } from './login.js';
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
  add(
    'login',
    'Store a token for a system on another machine; commands then go there',
    'login https://ingestor.example.org --tracker https://tracker.example.org',
  )
    .argument('<url>', 'where its ingestor is; the token comes from standard input')
    .option('--name <name>', 'of the context; the host by default')
    .option('--tracker <url>', 'where its tracker is; the same address by default, and port 3004 beside 3001')
    .option('--token-file <file>', 'the token is in this file')
    .option('--ca-file <file>', 'PEM file of the authorities that its certificate may come from')
    .option('--insecure-http', 'send the token over plain HTTP: it can be read on the way')
    .action(async (url: string, options: LoginOptions) => {
      ended(await login(context, url, options));
    });
  add('logout', 'Forget a context and its token', 'logout ingestor.example.org')
    .argument('[name]', 'of the context; the one in use by default')
    .action(async (name: string | undefined) => {
      ended(await logout(context, name));
    });
  add('use', 'Choose the context that commands go to', 'use ingestor.example.org')
    .argument('<name>', 'one that `contexts` lists; local is the system of this checkout')
    .action(async (name: string) => {
      ended(await use(context, name));
    });
  add('contexts', 'List the contexts that `login` has stored', 'contexts')
    .option('--json', JSON_HELP)
    .action(async (options: { json?: boolean }) => {
      ended(await contexts(context, options));
    });
}
