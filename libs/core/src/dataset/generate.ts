/** What a dataset's generator is asked for; the same options give the same bytes on every machine. */
export interface GenerateOptions {
  /** Records in the file, exactly, without a header. */
  readonly rows: number;
  readonly seed: number;
  /** Share of records with a defect, 0…1; all kinds of defects take turns. Default 0.002. */
  readonly defectShare?: number;
  /** Share of records that repeat the key of an earlier one, 0…1. Default 0.0005. */
  readonly repeatShare?: number;
}

/** Every dataset's `generator.ts` exports this as `generate`: the file's bytes, in chunks, never held whole. */
export type Generate = (options: GenerateOptions) => Iterable<Buffer>;

export const DEFAULT_DEFECT_SHARE = 0.002;
export const DEFAULT_REPEAT_SHARE = 0.0005;

const UINT32 = 2 ** 32;
/** Taken out once: under Jest each access to a global costs 50 ns, which made this three quarters of a generator's time. */
const { floor, imul } = Math;

/** Seeded numbers for generated data: small, fast and the same everywhere (mulberry32). Not for secrets. */
export class SeededRandom {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32;
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new RangeError('Nothing to pick from.');
    return value;
  }
}
