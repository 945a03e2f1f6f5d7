import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TablePlan } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { TableSection } from '#core/record/verdict.js';
import { CUTTING, PROLOGUE, compileRegistrations, registrations, START } from './registrations.js';

/** Where the section of a batch stands in its table's file. */
export interface SectionPlace {
  readonly offset: number;
  readonly bytes: number;
}

/** A clean batch: the places of its sections, in the order of the tables. */
export type CleanBatch = readonly SectionPlace[];

/** COPY text of one table, the sections of all batches one behind the other. */
export interface CleanFile {
  readonly plan: TablePlan;
  readonly path: string;
}

/**
 * The clean batches of one job as files, one a table: what the loader and psql are given. They lie on disk, because
 * psql reads files and because only a few batches are needed at once; both find them in the system's cache.
 */
export class CleanText {
  readonly files: readonly CleanFile[];
  readonly batches: CleanBatch[] = [];
  /** Of the first table. */
  rows = 0;
  bytes = 0;
  private readonly descriptors: number[];
  private readonly ends: number[];

  private constructor(folder: string, tables: readonly TablePlan[]) {
    this.files = tables.map((plan) => ({ plan, path: join(folder, `${plan.table}.copy`) }));
    this.descriptors = this.files.map(({ path }) => openSync(path, 'w+'));
    this.ends = tables.map(() => 0);
  }

  /** Generates and judges N registrations without defects: no key comes twice, so that keys can be built on them. */
  static write(folder: string, rows: number): CleanText {
    const contract = compileRegistrations();
    const text = new CleanText(folder, contract.tables);
    const cutter = createCutter(CUTTING, START);
    let head = PROLOGUE.dataStart;
    for (const chunk of registrations(rows, { defectShare: 0, repeatShare: 0 })) {
      for (const batch of cutter.push(chunk.subarray(head))) text.add(contract.judge(batch).sections);
      head = 0;
    }
    for (const batch of cutter.end()) text.add(contract.judge(batch).sections);
    return text;
  }

  /** The sections of some batches for one table, read as they stand. */
  read(table: number, batches: readonly CleanBatch[]): Buffer[] {
    const descriptor = this.descriptors[table] ?? -1;
    return batches.map((sections) => {
      const { offset, bytes } = sections[table] ?? { offset: 0, bytes: 0 };
      const section = Buffer.allocUnsafe(bytes);
      readSync(descriptor, section, 0, bytes, offset);
      return section;
    });
  }

  /** Parents before children. */
  get plan(): readonly TablePlan[] {
    return this.files.map(({ plan }) => plan);
  }

  close(): void {
    for (const descriptor of this.descriptors) closeSync(descriptor);
  }

  private add(sections: readonly TableSection[]): void {
    this.rows += sections[0]?.rows ?? 0;
    this.batches.push(
      sections.map(({ text }, table) => {
        const offset = this.ends[table] ?? 0;
        writeSync(this.descriptors[table] ?? -1, text, 0, text.length, offset);
        this.ends[table] = offset + text.length;
        this.bytes += text.length;
        return { offset, bytes: text.length };
      }),
    );
  }
}
