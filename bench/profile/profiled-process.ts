/**
 * Preloaded into the services by `npm run bench -- --profile` (NODE_OPTIONS does not take --cpu-prof). SIGUSR2 begins a
 * CPU profile, the next one ends it and writes `<pid>.cpuprofile`: so starting and draining are not in it. A file
 * `<pid>.on` stands beside it meanwhile.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beginProfile, type RunningProfile } from './cpu-profile.js';

const folder = process.env.SLUICE_BENCH_PROFILES;
let running: RunningProfile | undefined;

if (folder !== undefined) {
  const file = join(folder, `${process.pid}.cpuprofile`);
  const mark = join(folder, `${process.pid}.on`);
  process.on('SIGUSR2', () => {
    if (running === undefined) {
      running = beginProfile();
      writeFileSync(mark, '');
      return;
    }
    writeFileSync(`${file}.part`, JSON.stringify(running.end()));
    running = undefined;
    renameSync(`${file}.part`, file);
    rmSync(mark);
  });
}
