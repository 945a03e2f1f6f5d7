import { inspect } from 'node:util';
import { expect } from '@jest/globals';

/** Asserts that no way of printing these values shows one of the secrets: text, JSON, inspection, messages, stacks, causes. */
export function expectNoSecrets(secrets: readonly string[], ...shown: readonly unknown[]): void {
  for (const value of shown) {
    const texts = [
      String(value),
      inspect(value, { depth: Infinity, showHidden: true, getters: true }),
      JSON.stringify(value),
      ...causes(value).flatMap((cause) => [cause.message, cause.stack ?? '']),
    ];
    for (const text of texts) {
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  }
}

function causes(value: unknown): Error[] {
  return value instanceof Error ? [value, ...causes(value.cause)] : [];
}
