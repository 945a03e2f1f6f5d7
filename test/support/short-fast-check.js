/**
 * fast-check for `npm run mutants`: few runs, with the same values each time, and a counterexample as it was found. A property is
 * tried against hundreds of mutants there, and no person reads the smallest example.
 *
 * Stryker ends a mutant that loops without end once its place is passed a hundred times as often as without mutants. So the
 * room whose mutants do loop has fewer runs: an endless loop ends after about a second, and not by a new process.
 */
import fc from '../../node_modules/fast-check/lib/fast-check.js';

const MOST_RUNS = (process.env.MUTANT_ROOMS ?? '').split('|').includes('record') ? 40 : 300;

function assert(property, parameters = {}) {
  const numRuns = Math.min(parameters.numRuns ?? MOST_RUNS, MOST_RUNS);
  return fc.assert(property, { ...parameters, numRuns, seed: 1, endOnFailure: true });
}

export * from '../../node_modules/fast-check/lib/fast-check.js';
export default { ...fc, assert };
