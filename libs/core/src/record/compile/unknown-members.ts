/**
 * Members of JSON records that the contract does not read, by name and how often. PURE. CSV refuses a column that is not
 * known; a member costs nothing, but one that was renamed at its source would become NULL without a word.
 *
 * Bounded: names over a number, and long ones, are counted together, so that no record can fill memory with names.
 */
export class UnknownMembers {
  /** Of the batch. */
  private counts = new Map<string, number>();
  /** Of the record that is being read; a name may stand in it more than once. */
  private ofRecord: string[] = [];

  get record(): readonly string[] {
    return this.ofRecord;
  }

  startRecord(): void {
    if (this.ofRecord.length > 0) this.ofRecord = [];
  }

  /**
   * @param parent what stands before its name: `customer.`, `items[].`
   * @param start of its name, quotes left out
   */
  note(parent: string, bytes: Buffer, start: number, end: number): void {
    if (this.ofRecord.length >= MAX_NAMES) return;
    const name = end - start > MAX_NAME_BYTES ? OTHERS : bytes.toString('utf8', start, end);
    this.ofRecord.push(parent + name);
  }

  /** Counts what the record holds, each name once. */
  count(): void {
    for (const name of new Set(this.ofRecord)) {
      const key = this.counts.has(name) || this.counts.size < MAX_NAMES ? name : OTHERS;
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    }
  }

  /** Name → records that held it, since the last call; undefined for none. */
  take(): Readonly<Record<string, number>> | undefined {
    if (this.counts.size === 0) return undefined;
    const taken = Object.fromEntries(this.counts);
    this.counts = new Map();
    return taken;
  }
}

const MAX_NAMES = 50;
const MAX_NAME_BYTES = 100;
/** No name of a member that fits the bound, so it can mean all others. */
const OTHERS = '(others)';
