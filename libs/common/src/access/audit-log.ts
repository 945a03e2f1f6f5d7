import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { codeOf } from '../postgres/database-problem.js';
import type { CallerKind } from './access-tokens.js';
import type { AuditAction } from './audit-actions.js';
import { userName } from './user-name.js';

/** What a command is about: ids only, never contents of a record. */
export interface AuditSubject {
  readonly dataset?: string | undefined;
  readonly targets?: readonly string[];
}

export interface AuditedCommand extends AuditSubject {
  readonly service: string;
  readonly who: string;
  readonly caller: CallerKind;
  readonly role: string | null;
  readonly action: AuditAction;
}

/** Longer ids and names are none of Sluice's. */
const MAX_CHARACTERS = 300;

/**
 * Who gave which command, in the table `sluice.command_audit`.
 *
 * - AU1: a command's row is there before the command is carried out: where it cannot be written, nothing is done. So no change is
 *   without a row, whatever ends the process; the row then has no outcome.
 * - AU2: the outcome is written before the answer. Where it cannot be written, the answer is given nevertheless: what was done is
 *   done, and its row says that its outcome is not known.
 * - AU3: who, action and time of a row are never changed again; the services have no right to.
 */
export class AuditLog {
  constructor(
    private readonly database: Pick<pg.Pool, 'query'>,
    /** Receives why an outcome could not be written. */
    private readonly onLost: (error: unknown) => void = () => undefined,
  ) {}

  /**
   * AU1.
   * @returns the id of the row, for {@link end}
   * @throws the database's error
   */
  async begin(command: AuditedCommand): Promise<string> {
    const id = uuidv7();
    const { service, who, caller, role, action, dataset, targets = [] } = command;
    await this.database.query(
      `INSERT INTO sluice.command_audit (id, service, who, caller, role, action, dataset, targets) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [id, service, cut(who), caller, role, action, named(dataset), targets.map(cut)],
    );
    return id;
  }

  /**
   * AU2.
   * @param outcome `ok`, or the code of the refusal
   * @param subject what the command's answer has named; what is left out stays as it was
   */
  async end(id: string, outcome: string, { dataset, targets = [] }: AuditSubject = {}): Promise<void> {
    await this.database
      .query(
        `UPDATE sluice.command_audit SET outcome = $2, finished_at = now(), dataset = coalesce($3, dataset),
           targets = targets || ARRAY(SELECT new FROM unnest($4::text[]) AS new WHERE new <> ALL (targets))
         WHERE id = $1 AND outcome IS NULL`,
        [id, outcome, named(dataset), targets.map(cut)],
      )
      .catch(this.onLost);
  }

  /** A command that has ended already: one that was refused, or one that makes the table itself. */
  async record(command: AuditedCommand, outcome: string): Promise<void> {
    await this.end(await this.begin(command), outcome);
  }

  /** Runs `work` between its row and its outcome. */
  async around<T>(command: AuditedCommand, work: () => Promise<T>): Promise<T> {
    const id = await this.begin(command);
    try {
      const result = await work();
      await this.end(id, 'ok');
      return result;
    } catch (error) {
      await this.end(id, codeOf(error));
      throw error;
    }
  }
}

/** A command that works on the database itself: its giver is known by the operating system alone. */
export function ownCommand(action: AuditAction, subject: AuditSubject = {}): AuditedCommand {
  return { service: 'command line', who: userName(), caller: 'command line', role: null, action, ...subject };
}

/**
 * Deletes rows that are older.
 * @returns how many
 */
export async function pruneAudit(database: Pick<pg.Pool, 'query'>, keepDays: number): Promise<number> {
  const { rowCount } = await database.query(
    `DELETE FROM sluice.command_audit WHERE at < now() - $1::integer * interval '1 day'`,
    [keepDays],
  );
  return rowCount ?? 0;
}

function cut(text: string): string {
  return text.slice(0, MAX_CHARACTERS).toWellFormed().replaceAll('\0', '');
}

/** null for what cannot be the name of a dataset: it comes from a request that is not checked yet. */
function named(dataset: string | undefined): string | null {
  return dataset !== undefined && /^[a-z0-9-]{1,100}$/.test(dataset) ? dataset : null;
}
