import type { FieldReplace, FieldSet } from '#api/dead-letter-edits.js';
import type { DeadLetterState } from '#api/dead-letters.js';

/** The options of `dead-letters` with an action, as they were given; each action takes those that mean something to it. */
export interface ActionOptions {
  readonly job?: string;
  readonly code?: string;
  readonly dataset?: string;
  readonly group?: string;
  readonly state?: DeadLetterState;
  readonly limit?: number;
  readonly set?: readonly FieldSet[];
  readonly replace?: readonly FieldReplace[];
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}
