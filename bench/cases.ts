import type { BenchCase } from './bench-case.js';

/** Every case, in the order in which they run. */
export const CASES: readonly BenchCase[] = [];
