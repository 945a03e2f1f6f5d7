/** What we use of pino-roll, which has no types of its own: https://github.com/mcollina/pino-roll */
declare module 'pino-roll' {
  import type { EventEmitter } from 'node:events';

  interface RollingFile extends EventEmitter {
    write(line: string): boolean;
  }

  export default function build(options: {
    readonly file: string;
    readonly extension: string;
    /** A number with `b`, `k`, `m` or `g`. */
    readonly size: string;
    readonly limit: { readonly count: number; readonly removeOtherLogFiles: boolean };
    readonly sync: boolean;
    readonly mode: number;
    /** Bytes that are kept while the file takes nothing; a line beyond them raises `drop`. */
    readonly maxLength: number;
  }): Promise<RollingFile>;
}
