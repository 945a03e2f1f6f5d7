/** RFC 9457 problem details, with the members that Sluice adds. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** A code of docs/errors.md. */
  readonly code: string;
  /** What to do. */
  readonly action: string;
  /** 422: every wrong field. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  /** 409: the active job that excludes the one that was asked for. */
  readonly activeJob?: string;
}
