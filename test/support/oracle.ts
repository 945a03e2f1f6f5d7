import { parse } from 'csv-parse/sync';
import { readRecords } from './oracle-records.js';

/**
 * What the two tables must hold, and which records must be refused and why, after a file of business
 * registrations has been loaded into empty tables: the answer that the tests compare Sluice with.
 *
 * Written from the dataset's README (its section numbers are cited), plainly and apart: it shares no
 * code with `libs/`, decodes every record to strings and keeps what it needs in maps. It judges a
 * right file only; what a wrong file gets is shown by the prologue's own spec.
 */

export interface OracleOptions {
  /** README section 5. Default `warn`. */
  readonly checksum?: 'off' | 'warn' | 'reject';
  /** Only this number of records, from the first one. */
  readonly limit?: number;
  /** A longer record, its line end included, is refused unread. Default 256 KiB. */
  readonly maxRecordBytes?: number;
  /** `accepted`: a number that comes again is no reason to refuse (`upsert`: the last row wins). Default `refused`. */
  readonly repeats?: 'refused' | 'accepted';
}

/** A row of `tax_registration`, each value as `SELECT column::text` gives it. */
export interface BusinessRow {
  readonly ban: string;
  readonly headquarters_ban: string | null;
  readonly business_name: string;
  readonly business_address: string;
  readonly capital_amount: string;
  readonly business_setup_date: string;
  readonly setup_date: string | null;
  readonly business_type: string;
  readonly is_use_invoice: string;
  readonly data_source_date: string | null;
}

/** A row of `business_industry`, without its generated id. */
export interface IndustryRow {
  readonly business_id: string;
  readonly industry_code: string;
  readonly industry_name: string;
  readonly order: string;
}

interface Place {
  /** Number in the file, from 0; blank records count. */
  readonly record: number;
  /** Line of its first byte, from 1; the header is line 1. */
  readonly line: number;
}

/** What must become of one record; codes in alphabetical order, one entry a finding. */
export type Outcome = Place &
  (
    | { readonly is: 'skipped' }
    | {
        readonly is: 'refused';
        readonly stage: 'validate' | 'load';
        /** What its dead letter must say: errors and warnings, or `DUPLICATE` alone. */
        readonly codes: readonly string[];
        readonly warnings: readonly string[];
      }
    | {
        readonly is: 'loaded';
        readonly warnings: readonly string[];
        readonly business: BusinessRow;
        readonly industries: readonly IndustryRow[];
      }
  );

export type Refusal = Extract<Outcome, { is: 'refused' }>;

/** Everything about one file, for files that fit into memory as objects (50,000 rows: about 60 MB). */
export interface Expectation {
  readonly businesses: ReadonlyMap<string, BusinessRow>;
  readonly industries: ReadonlyMap<string, readonly IndustryRow[]>;
  readonly refused: ReadonlyMap<number, Refusal>;
  readonly counts: {
    readonly read: number;
    readonly accepted: number;
    readonly refused: number;
    readonly refusedAtValidate: number;
    readonly refusedAtLoad: number;
    readonly skipped: number;
    readonly loaded: number;
    readonly warnings: number;
  };
  /** How often each code must be given, errors and warnings, refused records' too, `DUPLICATE` among them. */
  readonly findings: Readonly<Record<string, number>>;
}

/** Collects {@link judgeFile}. */
export function expectFile(file: Buffer, options: OracleOptions = {}): Expectation {
  const businesses = new Map<string, BusinessRow>();
  const industries = new Map<string, readonly IndustryRow[]>();
  const refused = new Map<number, Refusal>();
  const findings: Record<string, number> = {};
  let read = 0;
  let skipped = 0;
  let refusedAtLoad = 0;
  let warnings = 0;
  for (const outcome of judgeFile(file, options)) {
    read += 1;
    if (outcome.is === 'skipped') {
      skipped += 1;
      continue;
    }
    warnings += outcome.warnings.length;
    for (const code of codesGiven(outcome)) findings[code] = (findings[code] ?? 0) + 1;
    if (outcome.is === 'loaded') {
      businesses.set(outcome.business.ban, outcome.business);
      industries.set(outcome.business.ban, outcome.industries);
      continue;
    }
    refused.set(outcome.record, outcome);
    if (outcome.stage === 'load') refusedAtLoad += 1;
  }
  return {
    businesses,
    industries,
    refused,
    counts: {
      read,
      accepted: read - skipped - (refused.size - refusedAtLoad),
      refused: refused.size,
      refusedAtValidate: refused.size - refusedAtLoad,
      refusedAtLoad,
      skipped,
      loaded: businesses.size,
      warnings,
    },
    findings,
  };
}

/** The warnings of a record that turns out to be a repeat were given before that was known. */
function codesGiven(outcome: Exclude<Outcome, { is: 'skipped' }>): readonly string[] {
  if (outcome.is === 'loaded') return outcome.warnings;
  return outcome.stage === 'load' ? [...outcome.warnings, ...outcome.codes] : outcome.codes;
}

const SLOTS = ['', '1', '2', '3'];
/** README section 4.2 */
const NULL_TOKENS = ['', 'NULL', 'null', 'NA', 'N/A'];
const LARGEST_CAPITAL = 9_223_372_036_854_775_807n;
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

interface Head {
  readonly columns: readonly string[];
  readonly date: string | null;
  readonly dataStart: number;
  readonly firstLine: number;
}

/** The records of the file in order, each with what must become of it; the first accepted row of a number wins, unless repeats are accepted. */
export function* judgeFile(file: Buffer, options: OracleOptions = {}): Generator<Outcome> {
  const { checksum = 'warn', limit = Infinity, maxRecordBytes = 256 * 1024, repeats = 'refused' } = options;
  const head = readHead(file);
  const accepted = new Set<string>();
  for (const source of readRecords(file, head.dataStart, head.firstLine, maxRecordBytes)) {
    const { record, line, cells } = source;
    if (record >= limit) return;
    const refuse = (code: string): Outcome => {
      return { is: 'refused', record, line, stage: 'validate', codes: [code], warnings: [] };
    };
    if (source.isTooLarge) {
      yield refuse('RECORD_TOO_LARGE');
      continue;
    }
    const isBlankLine = cells?.length === 1 && cells[0] === '';
    if (!isBlankLine && cells?.length !== head.columns.length) {
      yield refuse('MALFORMED_ROW');
      continue;
    }
    if (cells.every((cell) => clean(cell) === null)) {
      yield { is: 'skipped', record, line };
      continue;
    }
    const row = new RowJudge(new Map(head.columns.map((column, i) => [column, cells[i] ?? ''])), checksum);
    row.warnings.push(...source.strayQuotes.map(() => 'STRAY_QUOTE'));
    const business = row.business(head.date);
    const industries = row.industries(business.ban);
    const warnings = row.warnings.sort();
    if (row.errors.length > 0) {
      const codes = [...row.errors, ...warnings].sort();
      yield { is: 'refused', record, line, stage: 'validate', codes, warnings };
    } else if (repeats === 'refused' && accepted.has(business.ban)) {
      yield { is: 'refused', record, line, stage: 'load', codes: ['DUPLICATE'], warnings };
    } else {
      accepted.add(business.ban);
      yield { is: 'loaded', record, line, warnings, business, industries };
    }
  }
}

/** README sections 2 and 3, of a right file. */
function readHead(file: Buffer): Head {
  const lines = file.subarray(0, 4096).toString().split('\n');
  const [header = ''] = lines;
  const second = Math.max(
    1,
    lines.findIndex((line, at) => at > 0 && line.trim() !== ''),
  );
  const columns = cellsOf(header);
  const [first = '', ...rest] = cellsOf(lines[second] ?? '');
  const dateLine = /^(\d\d)-([A-Z]{3})-(\d\d)$/.exec(first);
  const headerBytes = Buffer.byteLength(header) + 1;
  if (!dateLine || rest.some((cell) => cell !== '')) {
    return { columns, date: null, dataStart: headerBytes, firstLine: 2 };
  }
  const [, day = '', month = '', year = ''] = dateLine;
  const date = calendarDate(`20${year}`, String(MONTHS.indexOf(month) + 1), day);
  const head = lines.slice(0, second + 1).map((line) => `${line}\n`);
  return { columns, date, dataStart: Buffer.byteLength(head.join('')), firstLine: second + 2 };
}

function cellsOf(line: string): string[] {
  const rows: string[][] = parse(line);
  const cells = rows[0] ?? [];
  // JavaScript's trim takes U+3000 and the byte order mark, too.
  return cells.map((cell) => cell.trim());
}

/** README section 4.1 */
function clean(cell: string): string | null {
  const trimmed = cell
    .replaceAll('\0', '')
    .replace(/^[ \t\u3000]+/, '')
    .replace(/[ \t\u3000]+$/, '');
  return NULL_TOKENS.includes(trimmed) ? null : trimmed;
}

/** README sections 4 to 6, for one row of the right number of fields. */
class RowJudge {
  readonly errors: string[] = [];
  readonly warnings: string[] = [];

  constructor(
    private readonly cells: ReadonlyMap<string, string>,
    private readonly checksum: 'off' | 'warn' | 'reject',
  ) {
    for (const cell of cells.values()) if (cell.includes('\0')) this.warn('NUL_REMOVED');
  }

  business(dataSourceDate: string | null): BusinessRow {
    const setupText = this.text('設立日期', 8);
    return {
      ban: this.number(),
      headquarters_ban: this.headOffice(),
      business_name: this.text('營業人名稱', 255),
      business_address: this.text('營業地址', 500),
      capital_amount: this.capital(),
      business_setup_date: setupText,
      setup_date: this.setupDate(setupText),
      business_type: this.text('組織別名稱', 50),
      is_use_invoice: this.invoiceFlag(),
      data_source_date: dataSourceDate,
    };
  }

  industries(ban: string): IndustryRow[] {
    const rows: IndustryRow[] = [];
    for (const [index, slot] of SLOTS.entries()) {
      const code = this.value(`行業代號${slot}`);
      const name = this.value(`名稱${slot}`);
      if (rows.some((row) => row.industry_code === code)) continue;
      if ((code === null) !== (name === null)) this.warn('ORPHAN_INDUSTRY');
      if (code === null) continue;
      this.limitLength(code, 20);
      this.limitLength(name ?? '', 255);
      rows.push({
        business_id: ban,
        industry_code: code,
        industry_name: name ?? '',
        order: String(index + 1),
      });
    }
    return rows;
  }

  private value(column: string): string | null {
    const cell = this.cells.get(column);
    if (cell === undefined) throw new RangeError(`The file has no column ${column}.`);
    return clean(cell);
  }

  private warn(code: string): void {
    this.warnings.push(code);
  }

  private refuse(code: string): void {
    this.errors.push(code);
  }

  private text(column: string, maxCharacters: number): string {
    const value = this.value(column) ?? '';
    this.limitLength(value, maxCharacters);
    return value;
  }

  private limitLength(value: string, maxCharacters: number): void {
    if (Array.from(value).length > maxCharacters) this.refuse('FIELD_TOO_LONG');
  }

  private number(): string {
    const value = this.value('統一編號') ?? '';
    if (!/^[0-9]{8}$/.test(value)) this.refuse('INVALID_BAN');
    else if (!hasChecksum(value)) {
      if (this.checksum === 'reject') this.refuse('INVALID_BAN_CHECKSUM');
      if (this.checksum === 'warn') this.warn('INVALID_BAN_CHECKSUM');
    }
    return value;
  }

  private headOffice(): string | null {
    const value = this.value('總機構統一編號');
    if (value === null || /^[0-9]{8}$/.test(value)) return value;
    this.warn('INVALID_HQ_BAN');
    return null;
  }

  private capital(): string {
    const value = this.value('資本額');
    if (value === null) return '0';
    const digits = value.replaceAll(',', '');
    if (/^[0-9]+$/.test(digits) && BigInt(digits) <= LARGEST_CAPITAL) return String(BigInt(digits));
    this.warn('BAD_CAPITAL');
    return '0';
  }

  private setupDate(text: string): string | null {
    if (text === '' || Array.from(text).length > 8) return null;
    const [, year = '', month = '', day = ''] = /^(\d{3,4})(\d\d)(\d\d)$/.exec(text) ?? [];
    const gregorian = year.length === 3 && year !== '000' ? String(Number(year) + 1911) : year;
    const date = gregorian.length === 4 ? calendarDate(gregorian, month, day) : null;
    if (date === null) this.warn('BAD_DATE');
    return date;
  }

  private invoiceFlag(): string {
    const value = this.value('使用統一發票') ?? '';
    if (!['Y', 'y', 'N', 'n'].includes(value)) this.warn('BAD_INVOICE_FLAG');
    return String(value.toUpperCase() === 'Y');
  }
}

/** README section 5 */
function hasChecksum(number: string): boolean {
  if (number === '00000000') return false;
  const weights = [1, 2, 1, 2, 1, 2, 4, 1];
  const products = weights.map((weight, place) => String(weight * Number(number[place])));
  const sum = Array.from(products.join('')).reduce((total, digit) => total + Number(digit), 0);
  return sum % 5 === 0 || (number[6] === '7' && (sum + 1) % 5 === 0);
}

/** @returns the date as `YYYY-MM-DD`, or null when the calendar has no such day */
function calendarDate(year: string, month: string, day: string): string | null {
  const text = [year, month.padStart(2, '0'), day].join('-');
  const date = new Date(`${text}T00:00:00Z`);
  return year !== '0000' && !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 10) === text
    ? text
    : null;
}
