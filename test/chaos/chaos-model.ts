import type { JobCounts } from '#api/job-facts.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import {
  type BusinessRow,
  type Expectation,
  type IndustryRow,
  type Refusal,
  expectFile,
  judgeFile,
} from '../support/oracle.js';

/** What one job must lead to. */
export interface ChaosExpectation {
  /** By business number. */
  readonly businesses: ReadonlyMap<string, BusinessRow>;
  readonly industries: ReadonlyMap<string, readonly IndustryRow[]>;
  readonly counts: JobCounts;
  readonly findings: Readonly<Record<string, number>>;
  readonly refused: readonly Refusal[];
}

/**
 * What both tables hold, from round to round: the oracle says what is in a file, this says what the write modes make
 * of it (docs/guarantees.md, G2 and G5). Written apart from the product.
 */
export class ChaosModel {
  businesses: ReadonlyMap<string, BusinessRow> = new Map();
  industries: ReadonlyMap<string, readonly IndustryRow[]> = new Map();

  foresee(mode: WriteMode, file: Buffer): ChaosExpectation {
    if (mode === 'upsert') return this.foreseeUpsert(file);
    const expected = expectFile(file);
    return mode === 'append' ? this.foreseeAppend(expected) : replaced(expected);
  }

  /** The job has succeeded. */
  accept({ businesses, industries }: ChaosExpectation): void {
    this.businesses = businesses;
    this.industries = industries;
  }

  /** A number that is there already stays as it is; a repeat within the file is refused. */
  private foreseeAppend(expected: Expectation): ChaosExpectation {
    const news = [...expected.businesses.keys()].filter((ban) => !this.businesses.has(ban));
    const superseded = expected.businesses.size - news.length;
    return {
      businesses: new Map([...expected.businesses, ...this.businesses]),
      industries: new Map([...expected.industries, ...this.industries]),
      counts: {
        ...expected.counts,
        ...outcome({ inserted: news.length, superseded }),
      },
      findings: expected.findings,
      refused: [...expected.refused.values()],
    };
  }

  /** The last row of a number wins, over the table's and over earlier ones of the file; nothing is refused for it. */
  private foreseeUpsert(file: Buffer): ChaosExpectation {
    const expected = expectFile(file, { repeats: 'accepted' });
    let inserted = 0;
    let updated = 0;
    let unchanged = 0;
    for (const [ban, row] of expected.businesses) {
      const before = this.businesses.get(ban);
      if (before === undefined) inserted += 1;
      else if (
        text(before) === text(row) &&
        text(this.industries.get(ban)) === text(expected.industries.get(ban))
      )
        unchanged += 1;
      else updated += 1;
    }
    let accepted = 0;
    for (const { is } of judgeFile(file, { repeats: 'accepted' })) if (is === 'loaded') accepted += 1;
    return {
      businesses: new Map([...this.businesses, ...expected.businesses]),
      industries: new Map([...this.industries, ...expected.industries]),
      counts: {
        ...expected.counts,
        ...outcome({ inserted, updated, unchanged, superseded: accepted - expected.businesses.size }),
      },
      findings: expected.findings,
      refused: [...expected.refused.values()],
    };
  }
}

function replaced(expected: Expectation): ChaosExpectation {
  const { businesses, industries, findings } = expected;
  return {
    businesses,
    industries,
    counts: { ...expected.counts, ...outcome({ inserted: businesses.size }) },
    findings,
    refused: [...expected.refused.values()],
  };
}

type Outcome = Pick<JobCounts, 'loaded' | 'inserted' | 'updated' | 'unchanged' | 'deleted' | 'superseded'>;

function outcome(given: Partial<Outcome>): Outcome {
  const { inserted = 0, updated = 0, unchanged = 0, superseded = 0 } = given;
  return { loaded: inserted + updated + unchanged, inserted, updated, unchanged, deleted: 0, superseded };
}

/** Industries stand in the order of their slots on both sides. */
function text(value: unknown): string {
  return JSON.stringify(value);
}
