/**
 * `npm run chaos -- [--rounds 10] [--seed 1] [--from 0]`: random faults over random jobs, and a stream beside them, on a real
 * system, until the rounds are over or Ctrl-C. The same seed plans the same rounds. Exits 1 when anything was lost, doubled or stuck.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkoutFolder } from '#local/folders.js';
import type { System } from '../support/system.js';
import { planRound } from './chaos-plan.js';
import { isAllRight, reportText, runChaos } from './chaos-run.js';
import { planText } from './chaos-words.js';

const USAGE =
  'Usage: npm run chaos -- [--rounds N] [--seed S] [--from ROUND] [--rows MAX] [--no-stream] [--plan]';
const ROUNDS_A_SYSTEM = 10;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    rows: { type: 'string', default: '8000' },
    'no-stream': { type: 'boolean', default: false },
    plan: { type: 'boolean', default: false },
  },
});
const [rounds = 0, seed = 0, firstRound = 0, maxRows = 0] = [
  values.rounds,
  values.seed,
  values.from,
  values.rows,
].map(Number);

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

if (
  ![rounds, seed, firstRound].every((value) => Number.isInteger(value) && value >= 0) ||
  !(maxRows >= 2_000)
) {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
} else if (values.plan) {
  for (let round = firstRound; round < firstRound + rounds; round += 1) {
    say(`round ${round}: ${planText(planRound(seed, round, maxRows))}`);
  }
} else {
  process.exitCode = await run();
}

async function run(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.abort(new RangeError(`stopped by ${signal}`));
    });
  }
  say(`seed ${seed}, rounds ${firstRound} to ${firstRound + rounds - 1}`);
  try {
    const report = await runChaos({
      seed,
      firstRound,
      rounds,
      maxRows,
      roundsPerSystem: ROUNDS_A_SYSTEM,
      hasStream: !values['no-stream'],
      signal: stop.signal,
      say,
      onLost: keepLogs,
    });
    say(`\nseed ${seed}\n${reportText(report)}`);
    return isAllRight(report) ? 0 : 1;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    say('Stopped before the end; everything was ended.');
    return 1;
  }
}

/** The system goes, what it has written stays. */
function keepLogs(system: System, round: number): void {
  const folder = join(checkoutFolder(), '.sluice', 'chaos', `seed-${seed}-round-${round}`);
  cpSync(join(system.folder, 'logs'), folder, { recursive: true });
  say(`  logs: ${folder}`);
}
