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

/** A record that takes the row with its key away. */
export interface MergeDelete {
  readonly key: string;
  /** Null: it has none, and is newer than all that stands before it. */
  readonly version: number | null;
  readonly deletes: true;
}

/** As in `JobCounts`. */
export interface MergeCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
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
    const counts = { inserted: 0, updated: 0, unchanged: 0, deleted: 0, superseded: 0 };
    for (const record of records) {
      if (this.present.has(record.key)) counts.superseded += 1;
      else counts.inserted += 1;
      if (!this.present.has(record.key)) this.present.set(record.key, record);
    }
    return counts;
  }

  /** @param records accepted ones in the order of the source */
  upsert(records: readonly (MergeRecord | MergeDelete)[]): MergeCounts {
    const counts = { inserted: 0, updated: 0, unchanged: 0, deleted: 0, superseded: 0 };
    const byKey = new Map<string, (MergeRecord | MergeDelete)[]>();
    for (const record of records) byKey.set(record.key, [...(byKey.get(record.key) ?? []), record]);
    for (const [key, all] of byKey) {
      const isUnversioned = (record: MergeRecord | MergeDelete): boolean =>
        'deletes' in record && record.version === null;
      const cut = all.findLastIndex(isUnversioned);
      const behind = all.slice(cut + 1);
      const newest = behind.reduce<MergeRecord | MergeDelete | undefined>(
        (best, record) => (best !== undefined && isOlder(record, best) ? best : record),
        all[cut],
      );
      counts.superseded += all.length - 1;
      const present = this.present.get(key);
      if (newest === undefined) throw new RangeError('A key without records.');
      const isStale = cut === -1 && present !== undefined && isOlder(newest, present);
      if (isStale || ('deletes' in newest && present === undefined)) counts.superseded += 1;
      else if ('deletes' in newest) {
        counts.deleted += 1;
        this.present.delete(key);
      } else {
        const fate =
          present === undefined ? 'inserted' : text(newest) === text(present) ? 'unchanged' : 'updated';
        counts[fate] += 1;
        this.present.set(key, newest);
      }
    }
    return counts;
  }
}

function isOlder(one: MergeRecord | MergeDelete, other: MergeRecord | MergeDelete): boolean {
  return (one.version ?? -Infinity) < (other.version ?? -Infinity);
}

function text({ row, children }: MergeRecord): string {
  return JSON.stringify([row, children.map((child) => JSON.stringify(child)).sort()]);
}
