/**
 * In which order Jest takes the files: those that take longest first, so that no worker waits for the last one; with
 * SLUICE_TEST_SEED in an order that the seed chooses (`npm test -- --shuffle SEED`).
 */
import { createHash } from 'node:crypto';
import { relative } from 'node:path';
import sequencer from '@jest/test-sequencer';

const Sequencer = sequencer.default ?? sequencer;

/** Of those that take more than half a minute. Jest goes by the last run's times, and without them by the files' sizes. */
const LONGEST = [
  ...['e2e/bench', 'faults-kafka', 'e2e/replay', 'e2e/resume', 'faults-points', 'e2e/streams'],
  ...['e2e/loading', 'new-dataset', 'e2e/clients', 'e2e/history', 'faults-postgres', 'faults-processes'],
  ...['chaos/chaos', 'up-and-down', 'bench-system', 'e2e/rights', 'e2e/datasets', 'e2e/refusals'],
].map((name) => `${name}.e2e-spec.ts`);

export default class FileOrder extends Sequencer {
  sort(tests) {
    const seed = process.env.SLUICE_TEST_SEED;
    if (seed !== undefined) return sortedBy(tests, ({ path, context }) => place(seed, path, context));
    const rank = ({ path }) => {
      const index = LONGEST.findIndex((name) => path.endsWith(name));
      return index < 0 ? LONGEST.length : index;
    };
    return sortedBy(super.sort(tests), rank);
  }
}

function place(seed, path, { config }) {
  return createHash('sha256')
    .update(`${seed} ${relative(config.rootDir, path)}`)
    .digest('hex');
}

function sortedBy(tests, keyOf) {
  return tests
    .map((test) => ({ test, key: keyOf(test) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ test }) => test);
}
