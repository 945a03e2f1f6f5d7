import type { BenchCase } from './bench-case.js';
import { stages } from './cases/stages.case.js';
import { wholeWay } from './cases/whole-way.case.js';

/** Every case, in the order in which they run. */
export const CASES: readonly BenchCase[] = [wholeWay, stages];
