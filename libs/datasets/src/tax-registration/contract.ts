import {
  ChildTable,
  Children,
  Column,
  FromContext,
  FromParent,
  SlotNumber,
  Table,
} from '#core/dataset/columns.js';
import { flag, int64, isoDate, varchar } from '#core/dataset/kinds.js';
import { Digits, MaxCharacters, PairedWith } from '#core/dataset/rules.js';
import type { OptionValues } from '#core/dataset/dataset.js';
import type { Severity } from '#core/finding/finding.js';
import { PassesChecksum, setupDate } from './rules.js';

/** README section 5: what the option `checksum` makes of a number that fails it. */
function checksumSeverity(options: OptionValues): Severity | 'off' {
  if (options.checksum === 'reject') return 'error';
  return options.checksum === 'off' ? 'off' : 'warning';
}

/** One row of the extract: a registered place of business (README sections 2, 4, 7.1 and 9). */
@Table({ name: 'tax_registration', key: ['ban'], version: 'dataSourceDate' })
export class TaxRegistration {
  @Column({ source: '統一編號', required: { code: 'INVALID_BAN' } })
  @Digits(8, { code: 'INVALID_BAN' })
  @PassesChecksum({ code: 'INVALID_BAN_CHECKSUM', severity: checksumSeverity })
  ban!: string;

  @Column({ source: '總機構統一編號' })
  @Digits(8, { code: 'INVALID_HQ_BAN', severity: 'warning', otherwise: null })
  headquartersBan!: string | null;

  @Column({ source: '營業人名稱', kind: varchar(255), ifNull: '' }) businessName!: string | null;

  @Column({ source: '營業地址', kind: varchar(500), ifNull: '' }) businessAddress!: string | null;

  @Column({
    source: '資本額',
    kind: int64({ nonNegative: true, removeCommas: true }),
    ifNull: '0',
    ifInvalid: { code: 'BAD_CAPITAL', severity: 'warning' },
  })
  capitalAmount!: string | null;

  /** The text as it stands; its length is judged once, on {@link setupDate}, which reads the same field. */
  @Column({ source: '設立日期', ifNull: '' })
  businessSetupDate!: string | null;

  @MaxCharacters(8)
  @Column({
    source: '設立日期',
    kind: setupDate(),
    ifInvalid: { code: 'BAD_DATE', severity: 'warning' },
  })
  setupDate!: string | null;

  @Column({ source: '組織別名稱', kind: varchar(50), ifNull: '' }) businessType!: string | null;

  @Column({
    source: '使用統一發票',
    kind: flag({ true: ['Y', 'y'], false: ['N', 'n'] }),
    ifNull: 'false',
    ifInvalid: { code: 'BAD_INVOICE_FLAG', severity: 'warning' },
    required: { code: 'BAD_INVOICE_FLAG', severity: 'warning' },
  })
  isUseInvoice!: string | null;

  @FromContext('date', { kind: isoDate() })
  dataSourceDate!: string | null;

  @Children(() => BusinessIndustry, {
    slots: [
      { code: '行業代號', name: '名稱' },
      { code: '行業代號1', name: '名稱1' },
      { code: '行業代號2', name: '名稱2' },
      { code: '行業代號3', name: '名稱3' },
    ],
  })
  industries!: BusinessIndustry[];
}

/** One filled slot: an industry in which the business is (README sections 4.9 and 7.2). */
@ChildTable({ name: 'business_industry', rowWhen: 'industryCode', distinctBy: 'industryCode' })
export class BusinessIndustry {
  @FromParent('ban')
  businessId!: string;

  @Column({ source: 'code', kind: varchar(20) }) industryCode!: string;

  @Column({ source: 'name', kind: varchar(255), ifNull: '' })
  @PairedWith('industryCode', { code: 'ORPHAN_INDUSTRY', severity: 'warning' })
  industryName!: string | null;

  @SlotNumber({ target: 'order' })
  order!: number;
}
