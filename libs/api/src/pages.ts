/** Answer of every address that lists. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Pass as `cursor` for the next page; null at the end. */
  readonly next: string | null;
}
