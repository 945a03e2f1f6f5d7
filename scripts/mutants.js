/**
 * `npm run mutants`: changes the pure rooms of the core one operator at a time, and names each change that no test notices.
 *
 *   npm run mutants -- record/cleaning.ts             one file below libs/core/src
 *   npm run mutants -- record/cleaning.ts ledger      several, and whole rooms
 *   npm run mutants -- record/cutter.ts:100-140       some lines
 *
 * A mutant is run against the unit specs of its own room that import its file. The report is coverage/mutants/index.html.
 * The exit code is 1 when less than 60 % of a file's mutants are noticed; the score itself is for people to read. A run is
 * ended after MAX_MINUTES: name a file, or lines of it, instead of a whole room then.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, ROOT, runScript } from './refusal.js';

const CORE = 'libs/core/src';
const MAX_MINUTES = 45;
const ROOMS = ['record', 'message', 'ledger', 'job'];

await runScript(() => {
  const wanted = process.argv.slice(2);
  if (wanted.length === 0)
    throw new Refusal(
      `Usage: npm run mutants -- ROOM[/FILE.ts[:FROM-TO]] …, with ROOM of ${ROOMS.join(', ')}`,
    );
  const rooms = new Set();
  const mutate = wanted.map((place) => {
    const [path, lines] = place.split(':');
    const room = path.split('/')[0];
    const whole = join(ROOT, CORE, path);
    if (!ROOMS.includes(room) || !existsSync(whole)) {
      throw new Refusal(
        `${place}: there is no such file or folder in ${ROOMS.map((name) => `${CORE}/${name}`).join(', ')}.`,
      );
    }
    rooms.add(room);
    if (statSync(whole).isDirectory()) return `${CORE}/${path}/**/*.ts`;
    return `${CORE}/${path}${lines === undefined ? '' : `:${lines}`}`;
  });
  const { status, error } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/@stryker-mutator/core/bin/stryker.js'), 'run', 'stryker.config.js'],
    {
      cwd: ROOT,
      stdio: 'inherit',
      timeout: MAX_MINUTES * 60_000,
      env: { ...process.env, MUTANTS_OF: mutate.join(','), MUTANT_ROOMS: [...rooms].join('|') },
    },
  );
  if (error?.code === 'ETIMEDOUT')
    throw new Refusal(
      `Ended after ${MAX_MINUTES} minutes without a result: name single files, or lines of them.`,
    );
  process.exitCode = status ?? 1;
});
