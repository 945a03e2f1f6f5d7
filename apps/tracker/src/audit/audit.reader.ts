import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { AuditEntry } from '#api/audit.js';
import type { Page } from '#api/pages.js';
import { pageOf } from '../read-api/page.js';
import type { AuditQuery } from './audit.dto.js';

interface AuditRow extends Omit<AuditEntry, 'at' | 'finishedAt'> {
  readonly at: Date;
  readonly finishedAt: Date | null;
}

/** Reads who gave which command. */
@Injectable()
export class AuditReader {
  constructor(private readonly database: DataSource) {}

  /** Newest first. */
  async list({ who, action, dataset, cursor, limit }: AuditQuery): Promise<Page<AuditEntry>> {
    const rows = await this.database.query<AuditRow[]>(
      `SELECT id, at, service, caller, who, role, action, dataset, targets, outcome, finished_at AS "finishedAt"
       FROM sluice.command_audit
       WHERE ($1::text IS NULL OR who = $1) AND ($2::text IS NULL OR action = $2)
         AND ($3::text IS NULL OR dataset = $3) AND ($4::uuid IS NULL OR id < $4)
       ORDER BY id DESC LIMIT $5`,
      [who ?? null, action ?? null, dataset ?? null, cursor ?? null, limit + 1],
    );
    const entries = rows.map(({ at, finishedAt, ...row }) => ({
      ...row,
      at: at.toISOString(),
      finishedAt: finishedAt?.toISOString() ?? null,
    }));
    return pageOf(entries, limit, ({ id }) => id);
  }
}
