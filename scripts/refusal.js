/** What every script here shares. Only built-in modules: these files run before anything is installed. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this checkout. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Something that the user has to change; the message is one sentence that says what. */
export class Refusal extends Error {}
