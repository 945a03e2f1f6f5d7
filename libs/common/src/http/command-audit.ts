import type { IncomingMessage, ServerResponse } from 'node:http';
import { type CallHandler, type ExecutionContext, HttpException, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type Observable, from, lastValueFrom } from 'rxjs';
import type { Caller } from '../access/access-tokens.js';
import type { AuditAction } from '../access/audit-actions.js';
import type { AuditLog, AuditSubject, AuditedCommand } from '../access/audit-log.js';
import { codeOf } from '../postgres/database-problem.js';

interface Command extends IncomingMessage {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export const AUDITED = 'sluice action of the route';

export interface AuditedRoute {
  readonly action: AuditAction;
  /** A request with `dryRun: true` changes nothing, and is not recorded. */
  readonly hasDryRun: boolean;
}

const audits = new WeakMap<IncomingMessage, CommandAudit>();

/** Records the commands that come over HTTP: those of routes with `@Audited`, each once. */
export class CommandAudit {
  private readonly reflector = new Reflector();

  /** @param service the name of the service, as in its folder */
  constructor(
    private readonly log: AuditLog,
    private readonly service: string,
    private readonly callerOf: (request: IncomingMessage) => Caller | undefined,
  ) {}

  /** For {@link RECORDED}, which sees the request later. */
  receives(request: IncomingMessage): void {
    audits.set(request, this);
  }

  /** A command whose caller's role is not enough. */
  async refused(context: ExecutionContext, code: string): Promise<void> {
    const command = this.commandOf(context);
    if (command !== null) await this.log.record(command, code);
  }

  /** Carries a command out between its row and its outcome. */
  async carryOut(context: ExecutionContext, next: CallHandler): Promise<unknown> {
    const command = this.commandOf(context);
    if (command === null) return lastValueFrom(next.handle(), { defaultValue: undefined });
    const id = await this.log.begin(command);
    context.switchToHttp().getResponse<ServerResponse>().setHeader('X-Request-Id', id);
    try {
      const answer: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      await this.log.end(id, 'ok', subjectOfAnswer(answer));
      return answer;
    } catch (error) {
      const isWrongRequest = error instanceof HttpException && error.getStatus() < 500;
      await this.log.end(id, isWrongRequest ? 'REQUEST_INVALID' : codeOf(error));
      throw error;
    }
  }

  /** @returns null for what is no command, or changes nothing */
  private commandOf(context: ExecutionContext): AuditedCommand | null {
    const route = this.reflector.get<AuditedRoute | undefined>(AUDITED, context.getHandler());
    if (route === undefined) return null;
    const request = context.switchToHttp().getRequest<Command>();
    const body = membersOf(request.body);
    if (route.hasDryRun && body['dryRun'] === true) return null;
    const caller = this.callerOf(request) ?? { kind: 'open', name: 'unknown', role: null };
    const { service } = this;
    return {
      ...{ service, who: caller.name, caller: caller.kind, role: caller.role, action: route.action },
      ...subjectOfRequest(request.params ?? {}, body),
    };
  }
}

/**
 * Runs after the role was found to be enough, and before the body is checked: what is refused for its body is recorded as well. Of single
 * routes, because an interceptor of all would answer 200 before the handler of an event stream has refused the request.
 */
export const RECORDED: NestInterceptor = {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const audit = audits.get(context.switchToHttp().getRequest<IncomingMessage>());
    if (audit === undefined) throw new RangeError('the request has not passed createHttpApp');
    return from(audit.carryOut(context, next));
  },
};

function subjectOfRequest(
  { id, topic, partition, offset, dataset }: Readonly<Record<string, string | undefined>>,
  body: Readonly<Record<string, unknown>>,
): AuditSubject {
  const place = topic === undefined ? [] : [`${topic}/${partition ?? ''}/${offset ?? ''}`];
  return {
    dataset: dataset ?? textIn(body['dataset']),
    targets: [...(id === undefined ? [] : [id]), ...place],
  };
}

/** `id` is a job or a replay, `action` an item of `GET /repair-actions`. */
function subjectOfAnswer(answer: unknown): AuditSubject {
  const { id, action, dataset } = membersOf(answer);
  return { dataset: textIn(dataset), targets: [id, action].filter((one) => typeof one === 'string') };
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
