import type { WriteMode } from './job-words.js';

/** `GET /datasets/:name`, and an item of `GET /datasets`. */
export interface DatasetView {
  readonly name: string;
  readonly title: string;
  readonly format: string;
  readonly writeModes: readonly WriteMode[];
  readonly options: Readonly<Record<string, readonly string[]>>;
  readonly defaultSource: string | null;
  /** Of the contract that the answering service has loaded. */
  readonly contractVersion: number;
  /** Of which build the answering service is; null when it does not run from a build. */
  readonly build: string | null;
  /** Names the content of the dataset's folder as it was when the answering service started. */
  readonly fingerprint: string;
  /** Exact row counts; parents before children. */
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
}
