import type { Severity } from '../../finding/finding.js';
import { RefusalFacts } from './record-findings.js';

/** What a judged batch adds up to. */
export class Tally {
  skipped = 0;
  warnings = 0;
  readonly codes = new Map<string, number>();
  readonly refused: RefusalFacts;

  /** @param bytes of the batch */
  constructor(readonly bytes: Buffer) {
    this.refused = new RefusalFacts(bytes);
  }

  count(code: string, severity: Severity): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    if (severity === 'warning') this.warnings += 1;
  }
}
