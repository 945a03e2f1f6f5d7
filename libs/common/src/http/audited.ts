import { SetMetadata } from '@nestjs/common';
import type { AuditAction } from '../access/audit-actions.js';

export const AUDITED = 'sluice action of the route';

export interface AuditedRoute {
  readonly action: AuditAction;
  /** A request with `dryRun: true` changes nothing, and is not recorded. */
  readonly hasDryRun: boolean;
}

/** Every route that changes something has it: who asks for it, and what became of it, is recorded. */
export const Audited = (action: AuditAction, facts: { hasDryRun?: boolean } = {}): MethodDecorator =>
  SetMetadata(AUDITED, { action, hasDryRun: facts.hasDryRun ?? false } satisfies AuditedRoute);
