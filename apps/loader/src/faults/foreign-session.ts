import { SluiceError } from '#common/errors/sluice-error.js';

/** A session that has to be ended, as `pg_stat_activity` shows it to every user. */
export interface ForeignSession {
  readonly pid: number;
  readonly role: string;
  readonly application: string;
  /** The role that we connect as. */
  readonly us: string;
}

/**
 * A session of another role blocks the job, and our role may neither end it nor see when its transaction began. PURE.
 * Loaders that connect as one role never meet this.
 */
export function mayNotEnd(
  { pid, role, application, us }: ForeignSession,
  place: { readonly job: string; readonly dataset?: string },
): SluiceError {
  return new SluiceError(
    'JOB_SCHEMA',
    `Session ${pid} of role "${role}" (${application}) blocks the job, and role "${us}" may not end it. ` +
      `Let all loaders connect as one role, or GRANT pg_signal_backend, pg_read_all_stats TO "${us}".`,
    place,
  );
}
