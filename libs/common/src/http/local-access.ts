import { AuditLog } from '../access/audit-log.js';
import { LocalToken } from '../access/local-token.js';
import { AccessCheck } from './access-check.js';

const NO_DATABASE = { query: () => Promise.reject(new RangeError('there is no database')) } as never;

/** Of a port that only this machine reaches: no caller is asked for a token. */
export function localAccess(): AccessCheck {
  return new AccessCheck({
    mode: 'local',
    isMetricsOpen: true,
    requestsPerMinute: 1,
    trustedProxies: [],
    oidc: null,
    localToken: LocalToken.fromFile(''),
    database: NO_DATABASE,
  });
}

/** Of an application without commands: one that came could not be recorded, and would be refused. */
export function noAudit(): { readonly log: AuditLog; readonly service: string } {
  return { log: new AuditLog(NO_DATABASE), service: 'none' };
}
