import { spawnSync } from 'node:child_process';

/**
 * psql comes with the system. Without it `npm run bench` says what to install and measures nothing, which is tested
 * everywhere; nothing else of Sluice needs it, so elsewhere it is only the tests beside it that are left out.
 */
export const HAS_PSQL = spawnSync('psql', ['--version']).status === 0;
