import { Column, FromContext, Table } from '#core/dataset/columns.js';
import { flag, int64, isoDate, varchar } from '#core/dataset/kinds.js';
import { Digits, MaxCharacters } from '#core/dataset/rules.js';
import { PassesChecksum, setupDate } from '#datasets/tax-registration/rules.js';

/** A registration without its industries: the columns and rules of `TaxRegistration`, into one table. */
@Table({ name: 'registration_only', key: ['ban'], version: 'dataSourceDate' })
export class RegistrationOnly {
  @Column({ source: '統一編號', required: { code: 'INVALID_BAN' } })
  @Digits(8, { code: 'INVALID_BAN' })
  @PassesChecksum({ code: 'INVALID_BAN_CHECKSUM', severity: () => 'warning' })
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

  @Column({ source: '設立日期', ifNull: '' })
  businessSetupDate!: string | null;

  @MaxCharacters(8)
  @Column({ source: '設立日期', kind: setupDate(), ifInvalid: { code: 'BAD_DATE', severity: 'warning' } })
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
}
