/** An item of `GET /audit` (tracker): one command. */
export interface AuditEntry {
  /** A UUID v7, which the answer to the command had as `X-Request-Id`. */
  readonly id: string;
  /** When the command came. */
  readonly at: string;
  /** `ingestor`, `tracker` or `command line`. */
  readonly service: string;
  /** How its giver was known: `token`, `oidc`, `command line`, `local` or `open`. */
  readonly caller: string;
  /** Name of the token, subject of the OIDC token, or user of the machine; `local` and `open` where no caller has a name. */
  readonly who: string;
  /** Null for the command line, which has the rights of its database role. */
  readonly role: string | null;
  readonly action: string;
  readonly dataset: string | null;
  /** Ids: of a job or replay, the place of a parked message, the name of a token, or one of `GET /repair-actions`. */
  readonly targets: readonly string[];
  /** `ok`, or the code it was refused with; null while it is under way, or when the service ended meanwhile. */
  readonly outcome: string | null;
  readonly finishedAt: string | null;
}
