import { isLoginFault } from '../client/kafka-errors.js';

const FIRST_MS = 500;
const LONGEST_MS = 5_000;
/** Brokers and providers lock out names that are tried too often; a correction is still noticed soon. */
const LONGEST_AFTER_LOGIN_MS = 30_000;
/** By how much a wait after a refused login is shortened at most, so that services refused together do not return together. */
const JITTER = 0.2;

/**
 * How long to wait before the next try, in ms: twice as long after each, up to 5 s, and up to 30 s when the login was refused.
 * @param attempt tries that have failed in a row, from 1
 * @param random from 0 up to 1
 */
export function backoffOf(attempt: number, error: unknown, random: () => number = Math.random): number {
  const doubled = FIRST_MS * 2 ** (attempt - 1);
  if (!isLoginFault(error)) return Math.min(doubled, LONGEST_MS);
  return Math.round(Math.min(doubled, LONGEST_AFTER_LOGIN_MS) * (1 - JITTER * random()));
}
