import { resolve } from 'node:path';
import { loadSettings } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { LocalConfig } from '../local.config.js';
import { type Outcome, runToEnd } from '../start-process.js';

/** Kafka 4 brokers need 17. */
export const OLDEST_JAVA = 17;

/**
 * @returns the command that starts a fit Java, as text for `spawn`, and its main version
 * @throws SluiceError REQUIREMENT_MISSING naming what to install
 */
export async function findJava(): Promise<{ command: string; version: number }> {
  const { javaHome } = loadSettings(LocalConfig);
  const command = javaHome === undefined ? 'java' : resolve(javaHome, 'bin', 'java');
  const where = javaHome === undefined ? 'in PATH' : 'where JAVA_HOME points';
  const outcome = await tryToRun(command, ['-version']);
  // macOS has a `java` that only says that there is none, with exit code 1.
  if (outcome === null || outcome.code !== 0) {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `No Java was found ${where}: install a JDK or JRE ${OLDEST_JAVA} or newer (Kafka runs on it), or set JAVA_HOME.`,
    );
  }
  const version = javaVersionIn(outcome.stderr + outcome.stdout);
  if (version === null || version < OLDEST_JAVA) {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `Java ${where} is version ${version ?? 'unknown'}, but Kafka needs ${OLDEST_JAVA} or newer: install one, or point JAVA_HOME to it.`,
    );
  }
  return { command, version };
}

/** The main version in what `java -version` prints: 17 of `17.0.15`, 8 of `1.8.0_392`. */
export function javaVersionIn(text: string): number | null {
  const match = /version "(?:1\.)?(\d+)/.exec(text);
  return match?.[1] === undefined ? null : Number(match[1]);
}

/** @returns null when the command cannot be started */
export async function tryToRun(command: string, args: readonly string[]): Promise<Outcome | null> {
  try {
    return await runToEnd(command, args);
  } catch {
    return null;
  }
}
