/** What `token` is given; `token.ts` is loaded only when the command runs. */
import type { Role } from '#common/access/role-names.js';

export interface TokenOptions {
  readonly role?: Role;
  /** Days. */
  readonly expires?: number;
  readonly json?: boolean;
}

export const TOKEN_ACTIONS = ['create', 'list', 'revoke'] as const;
export type TokenAction = (typeof TOKEN_ACTIONS)[number];
