/**
 * `npm run secrets`: makes the files of secrets/ that docker-compose.yml gives its containers, with random contents. What is there
 * already stays: a new password would not be that of the database, and jobs under way do not survive a new message key.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runScript } from './refusal.js';

const FOLDER = join(ROOT, 'secrets');
const randomText = () => randomBytes(32).toString('hex');

await runScript(async () => {
  // Containers run as other users and have to read the files; of the machine's users, only the owner enters the folder.
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  chmodSync(FOLDER, 0o700);
  const password = kept('postgres-password', randomText());
  kept('database-url', `postgres://sluice:${password}@postgres:5432/sluice`);
  kept('message-key', randomText());
  kept('grafana-password', randomText());
});

/** @returns what the file holds now */
function kept(name, text) {
  const path = join(FOLDER, name);
  if (!existsSync(path)) {
    // Written whole, without a line end: a program that reads it takes every byte.
    writeFileSync(path, text, { flag: 'wx', mode: 0o444 });
    process.stdout.write(`secrets/${name}\n`);
  }
  return readFileSync(path, 'utf8');
}
