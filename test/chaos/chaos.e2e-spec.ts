import { expect, it } from '@jest/globals';
import { SERVERS, SERVICES, planRound } from './chaos-plan.js';
import { isAllRight, reportText, runChaos } from './chaos-run.js';

/** Chosen for its first rounds, which hold every mode, and faults of a dozen kinds; see docs/operations.md for more rounds. */
const SEED = 41_777;
const ROUNDS = 4;
const MAX_ROWS = 3_000;
/** Rounds are bounded by standstill; this is only for what no bound has foreseen. */
const TEST_TIMEOUT_MS = 600_000;
const LOG_CHARACTERS = 3_000;

it(
  'random faults over random jobs lose nothing and double nothing',
  async () => {
    const plans = Array.from({ length: ROUNDS }, (_, round) => planRound(SEED, round, MAX_ROWS));
    expect(new Set(plans.map(({ mode }) => mode)).size).toBe(3);
    const said: string[] = [];
    const report = await runChaos({
      seed: SEED,
      firstRound: 0,
      rounds: ROUNDS,
      maxRows: MAX_ROWS,
      roundsPerSystem: ROUNDS,
      hasStream: true,
      signal: new AbortController().signal,
      say: (line) => said.push(line),
      onLost: (system) => {
        for (const name of [...SERVERS, ...SERVICES]) {
          said.push(`--- ${name} ---`, system.logsOf(name).slice(-LOG_CHARACTERS));
        }
      },
    });
    if (!isAllRight(report)) throw new Error([...said, reportText(report)].join('\n'));
    expect(report.rounds).toBe(ROUNDS);
    expect(report.rowsChecked).toBeGreaterThan(10_000);
    const planned = plans.flatMap(({ steps }) => steps).flatMap(({ faults }) => faults);
    const injected = [...report.injected.values()].reduce((sum, count) => sum + count, 0);
    expect(injected).toBeGreaterThanOrEqual(planned.filter(({ kind }) => kind !== 'point').length);
  },
  TEST_TIMEOUT_MS,
);
