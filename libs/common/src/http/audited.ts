import { SetMetadata, UseInterceptors, applyDecorators } from '@nestjs/common';
import type { AuditAction } from '../access/audit-actions.js';
import { AUDITED, type AuditedRoute, RECORDED } from './command-audit.js';

/** Every route that changes something has it: who asks for it, and what became of it, is recorded. */
export const Audited = (action: AuditAction, facts: { hasDryRun?: boolean } = {}): MethodDecorator =>
  applyDecorators(
    SetMetadata(AUDITED, { action, hasDryRun: facts.hasDryRun ?? false } satisfies AuditedRoute),
    UseInterceptors(RECORDED),
  );
