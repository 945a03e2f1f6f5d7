import { isDeepStrictEqual } from 'node:util';
import type { DeadLetterView } from '#api/dead-letters.js';
import type { JobDetail } from '#api/jobs.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import type { ChaosDatabase } from './chaos-database.js';
import type { ChaosExpectation } from './chaos-model.js';
import { type Difference, compareRows } from './compare-rows.js';

/** What a round showed. */
export interface RoundVerdict {
  /** Sentences; none: everything is as it must be. */
  readonly problems: readonly string[];
  readonly rowsChecked: number;
  readonly lost: number;
  readonly doubled: number;
}

type Tables = Pick<ChaosExpectation, 'businesses' | 'industries'>;

/** Every row of both tables against the model's. */
export async function judgeTables(database: ChaosDatabase, wanted: Tables): Promise<RoundVerdict> {
  const businesses = [...wanted.businesses.values()];
  const industries = [...wanted.industries.values()].flat();
  const differences = {
    tax_registration: compareRows(await database.businesses(), businesses),
    business_industry: compareRows(await database.industries(), industries),
  };
  const sum = (of: keyof Omit<Difference, 'examples'>): number =>
    Object.values(differences).reduce((total, difference) => total + difference[of], 0);
  const problems = Object.entries(differences)
    .filter(([, { lost, doubled, foreign }]) => lost + doubled + foreign > 0)
    .map(([table, { lost, doubled, foreign, examples }]) =>
      [`${table}: ${lost} rows lost, ${doubled} doubled, ${foreign} foreign`, ...examples].join('\n    '),
    );
  return {
    problems,
    rowsChecked: businesses.length + industries.length,
    lost: sum('lost'),
    doubled: sum('doubled'),
  };
}

/**
 * State, counts, findings and dead letters of a job that must have succeeded.
 * @param rawIsLost the broker has lost raw messages: a record of theirs that is refused at load is known by its number,
 *   but neither its bytes nor its line are
 */
export function judgeReport(
  job: JobDetail,
  letters: readonly DeadLetterView[],
  expected: ChaosExpectation,
  rawIsLost: boolean,
): string[] {
  const problems: string[] = [];
  if (job.state !== 'succeeded') {
    return [`job ${job.id} ended as ${job.state}: ${job.error?.code ?? ''} ${job.error?.message ?? ''}`];
  }
  const differ = (what: string, found: object | null, wanted: object): void => {
    // Copies: under Jest what fetch has read is of another realm, whose objects have other prototypes.
    if (isDeepStrictEqual({ ...found }, { ...wanted })) return;
    problems.push(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  };
  differ('counts', job.counts, expected.counts);
  differ('findings', job.findings, expected.findings);
  const lineOf = (stage: string, line: number): number | null =>
    rawIsLost && stage === 'load' ? null : line;
  const isExpected = (code: string): boolean => !rawIsLost || code !== GENERAL_FINDING_CODES.BYTES_EXPIRED;
  const found = letters.map(({ record, line, stage, findings }) => {
    return {
      record,
      line: lineOf(stage, line),
      stage,
      codes: findings
        .map(({ code }) => code)
        .filter(isExpected)
        .sort(),
    };
  });
  const wanted = expected.refused.map(({ record, line, stage, codes }) => ({
    record,
    line: lineOf(stage, line),
    stage,
    codes: [...codes],
  }));
  const { lost, doubled, foreign, examples } = compareRows(found, wanted);
  if (lost + doubled + foreign > 0) {
    const text = `dead letters: ${lost} lost, ${doubled} doubled, ${foreign} foreign`;
    problems.push([text, ...examples].join('\n    '));
  }
  return problems;
}

/** G1 and G2 once more, from the ledger alone and apart from the product's own proof. */
export async function judgeLedger(database: ChaosDatabase, job: string): Promise<string[]> {
  const [sums] = await database.rows<Record<string, boolean>>(
    `SELECT count(*) = max(job.total_batches) AND count(DISTINCT batch) = count(*) AND max(batch) + 1 = count(*)
         AS "every batch once",
       sum(records) = max(job.total_records) AND min(first_record) = 0 AS "every record",
       bool_and(first_record + records = coalesce(next_record, job.total_records)) AS "records without a gap",
       bool_and(byte_end = coalesce(next_byte, job.total_bytes)) AS "bytes without a gap",
       bool_and(accepted + refused + skipped = records) AS "accepted + refused + skipped = records",
       bool_and(refusals_announced) AS "every refusal announced"
     FROM (SELECT *, lead(first_record) OVER each AS next_record, lead(byte_start) OVER each AS next_byte
           FROM sluice.ledger WHERE job = $1 WINDOW each AS (ORDER BY batch)) AS ledger
     JOIN sluice.job ON job.id = ledger.job`,
    [job],
  );
  return Object.entries(sums ?? {})
    .filter(([, holds]) => !holds)
    .map(([what]) => `ledger: not "${what}"`);
}
