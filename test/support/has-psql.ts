import { spawnSync } from 'node:child_process';

/** psql comes with the system: without it nothing can be measured beside it, and nothing else of Sluice needs it. */
export const HAS_PSQL = spawnSync('psql', ['--version']).status === 0;
