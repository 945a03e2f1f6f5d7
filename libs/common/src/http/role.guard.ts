import type { IncomingMessage } from 'node:http';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ProblemError } from './problem-details.filter.js';
import type { CommandAudit } from './command-audit.js';
import type { Caller } from '../access/access-tokens.js';
import { ROLE_OF_ROUTE } from './role.js';
import { type Role, includesRole } from '../access/role-names.js';

const callers = new WeakMap<IncomingMessage, Caller>();

/** For the guard, which sees the request later, when its route is known. */
export function noteCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller);
}

export function callerOf(request: IncomingMessage): Caller | undefined {
  return callers.get(request);
}

/** Compares the caller's role with the one of the route; a route that names none is refused to every caller. */
export class RoleGuard implements CanActivate {
  private readonly reflector = new Reflector();

  constructor(private readonly audit: Pick<CommandAudit, 'refused'>) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const needed = this.reflector.getAllAndOverride<Role | 'none' | undefined>(ROLE_OF_ROUTE, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (needed === 'none') return true;
    const caller = callerOf(context.switchToHttp().getRequest<IncomingMessage>());
    if (needed !== undefined && caller !== undefined && includesRole(caller.role, needed)) return true;
    await this.audit.refused(context, 'ROLE_MISSING');
    const has = caller === undefined ? 'no token was sent' : `this token has ${caller.role}`;
    throw new ProblemError(
      'ROLE_MISSING',
      needed === undefined ? 'The route names no role.' : `This needs role ${needed}; ${has}.`,
      403,
    );
  }
}
