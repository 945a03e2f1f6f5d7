/**
 * What tables must hold after one job after the other was merged into them: the answer that tests of `append` and
 * `upsert` compare Sluice with. Plain, record by record, in maps; it shares no code with the product and knows
 * neither staging nor SQL.
 */

/** A record as it would stand in the tables. Rows are compared as they are given, so give equal values equally. */
export interface MergeRecord {
  readonly key: string;
  /** Greater is newer; null is older than any. The same for all records when the dataset has no versions. */
  readonly version: number | null;
  readonly row: object;
  readonly children: readonly object[];
}

/** As in `JobCounts`. */
export interface MergeCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly superseded: number;
}

export class MergeOracle {
  private readonly present = new Map<string, MergeRecord>();

  /** Every record of the tables, in the order of their keys. */
  records(): MergeRecord[] {
    return [...this.present.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** @param records accepted ones, each key once: repeats within a job are refused before */
  append(records: readonly MergeRecord[]): MergeCounts {
    const counts = { inserted: 0, updated: 0, unchanged: 0, superseded: 0 };
    for (const record of records) {
      if (this.present.has(record.key)) counts.superseded += 1;
      else counts.inserted += 1;
      if (!this.present.has(record.key)) this.present.set(record.key, record);
    }
    return counts;
  }

  /** @param records accepted ones in the order of the source */
  upsert(records: readonly MergeRecord[]): MergeCounts {
    const chosen = new Map<string, MergeRecord>();
    for (const record of records) {
      const other = chosen.get(record.key);
      if (other === undefined || !isOlder(record, other)) chosen.set(record.key, record);
    }
    const counts = { inserted: 0, updated: 0, unchanged: 0, superseded: records.length - chosen.size };
    for (const record of chosen.values()) {
      const present = this.present.get(record.key);
      const fate = present === undefined ? 'inserted' : fateOf(record, present);
      counts[fate] += 1;
      if (fate === 'inserted' || fate === 'updated') this.present.set(record.key, record);
    }
    return counts;
  }
}

function fateOf(record: MergeRecord, present: MergeRecord): 'superseded' | 'updated' | 'unchanged' {
  if (isOlder(record, present)) return 'superseded';
  return text(record) === text(present) ? 'unchanged' : 'updated';
}

function isOlder(one: MergeRecord, other: MergeRecord): boolean {
  return (one.version ?? -Infinity) < (other.version ?? -Infinity);
}

function text({ row, children }: MergeRecord): string {
  return JSON.stringify([row, children.map((child) => JSON.stringify(child)).sort()]);
}
