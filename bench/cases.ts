import type { BenchCase } from './bench-case.js';
import { compression } from './cases/compression.case.js';
import { growth } from './cases/growth.case.js';
import { partitions } from './cases/partitions.case.js';
import { refused } from './cases/refused.case.js';
import { refusedRecord } from './cases/refused-record.case.js';
import { seals } from './cases/seals.case.js';
import { smallJob } from './cases/small-job.case.js';
import { stages } from './cases/stages.case.js';
import { upsert } from './cases/upsert.case.js';
import { wholeWay } from './cases/whole-way.case.js';

/** Every case, in the order in which they run. */
export const CASES: readonly BenchCase[] = [
  wholeWay,
  stages,
  upsert,
  smallJob,
  refused,
  growth,
  partitions,
  seals,
  compression,
  refusedRecord,
];
