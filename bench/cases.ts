import type { BenchCase } from './bench-case.js';
import { compression } from './cases/compression.case.js';
import { deadLetters } from './cases/dead-letters.case.js';
import { growth } from './cases/growth.case.js';
import { partitions } from './cases/partitions.case.js';
import { refused } from './cases/refused.case.js';
import { refusedRecord } from './cases/refused-record.case.js';
import { resubmission } from './cases/resubmission.case.js';
import { seals } from './cases/seals.case.js';
import { smallJob } from './cases/small-job.case.js';
import { stages } from './cases/stages.case.js';
import { streamBacklog } from './cases/stream-backlog.case.js';
import { streamIdle } from './cases/stream-idle.case.js';
import { streamLists } from './cases/stream-lists.case.js';
import { streamSteady } from './cases/stream-steady.case.js';
import { streamSmallJob } from './cases/stream-small-job.case.js';
import { upsert } from './cases/upsert.case.js';
import { wholeWay } from './cases/whole-way.case.js';

/** Every case, in the order in which they run. The last three change the system's settings, after which the next case gets a new one. */
export const CASES: readonly BenchCase[] = [
  wholeWay,
  stages,
  upsert,
  smallJob,
  streamSmallJob,
  streamIdle,
  streamSteady,
  refused,
  growth,
  compression,
  refusedRecord,
  deadLetters,
  resubmission,
  streamLists,
  partitions,
  seals,
  streamBacklog,
];
