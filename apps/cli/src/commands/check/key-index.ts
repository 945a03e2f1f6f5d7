import { hash } from 'node:crypto';

/**
 * Remembers which keys have been met, and where, in a bounded amount of memory. PURE.
 *
 * Kept of a key are 64 bits of its MD5 (a spread, no secret) and its line: 12 bytes a slot, at most
 * half of the slots taken, so 4 million keys need 100 MB. Two different keys among 4 million share
 * 64 bits with a probability of 4 in 10 million; then a good record would be called a duplicate.
 */
export class KeyIndex {
  private mask: number;
  private high: Uint32Array;
  private low: Uint32Array;
  /** 0: the slot is free. */
  private lines: Uint32Array;
  private keys = 0;

  constructor(
    private readonly maxKeys = 4_000_000,
    initialSlots = 1 << 16,
  ) {
    this.mask = initialSlots - 1;
    this.high = new Uint32Array(initialSlots);
    this.low = new Uint32Array(initialSlots);
    this.lines = new Uint32Array(initialSlots);
  }

  /** No further key is remembered; known ones are still found. */
  get full(): boolean {
    return this.keys >= this.maxKeys;
  }

  /**
   * Remembers `key` as last met at `line` (from 1).
   * @param keep which of two lines stays remembered
   * @returns the line that was remembered, or undefined for a new key
   */
  meet(key: Buffer, line: number, keep: 'first' | 'last'): number | undefined {
    const digest = hash('md5', key, 'buffer');
    const high = digest.readUInt32LE(0);
    const low = digest.readUInt32LE(4);
    const slot = this.slotOf(high, low);
    const before = this.lines[slot] ?? 0;
    if (before !== 0) {
      if (keep === 'last') this.lines[slot] = line;
      return before;
    }
    if (this.full) return undefined;
    this.put(slot, high, low, line);
    this.keys++;
    if (this.keys * 2 > this.mask) this.grow();
    return undefined;
  }

  /** The slot that holds these bits, or the free one where they belong. */
  private slotOf(high: number, low: number): number {
    let slot = low & this.mask;
    while (this.lines[slot] !== 0 && !(this.high[slot] === high && this.low[slot] === low)) {
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }

  private put(slot: number, high: number, low: number, line: number): void {
    this.high[slot] = high;
    this.low[slot] = low;
    this.lines[slot] = line;
  }

  private grow(): void {
    const { high, low, lines } = this;
    const slots = lines.length * 2;
    this.mask = slots - 1;
    this.high = new Uint32Array(slots);
    this.low = new Uint32Array(slots);
    this.lines = new Uint32Array(slots);
    lines.forEach((line, i) => {
      const highBits = high[i] ?? 0;
      const lowBits = low[i] ?? 0;
      if (line !== 0) this.put(this.slotOf(highBits, lowBits), highBits, lowBits, line);
    });
  }
}
