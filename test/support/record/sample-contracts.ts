import { IsEmail, IsOptional, Length } from 'class-validator';
import {
  ChildTable,
  Children,
  Column,
  FromContext,
  FromParent,
  SlotNumber,
  Table,
} from '../../../libs/core/src/dataset/columns.js';
import type { OptionValues } from '../../../libs/core/src/dataset/dataset.js';
import { flag, int64, isoDate, jsonb, numeric, timestamptz } from '../../../libs/core/src/dataset/kinds.js';
import {
  defineRule,
  Digits,
  Matches,
  MaxCharacters,
  OneOf,
  PairedWith,
  Required,
} from '../../../libs/core/src/dataset/rules.js';

/** Contracts that use everything a contract can use; the data mean nothing. */

const NotAllSame = defineRule({
  name: 'notAllSame',
  accepts: (value) => new Set(value).size > 1,
  acceptsBytes: (bytes, start, end) => bytes.subarray(start, end).some((byte) => byte !== bytes[start]),
  message: 'must not repeat one digit',
});

const byOption = ({ repeats }: OptionValues): 'error' | 'warning' | 'off' =>
  repeats === 'off' ? 'off' : repeats === 'reject' ? 'error' : 'warning';

@ChildTable({ name: 'line', rowWhen: 'code', distinctBy: 'code' })
class ShopLine {
  @FromParent('number', { target: 'shop_number' })
  shop!: string;

  @Column({ source: 'code' })
  @MaxCharacters(4, { code: 'LONG_CODE' })
  code!: string | null;

  @Column({ source: 'name', ifNull: '' })
  @MaxCharacters(6)
  @PairedWith('code', { code: 'ORPHAN', severity: 'warning' })
  name!: string | null;

  @SlotNumber({ target: 'order' })
  order!: number;
}

@Table({ name: 'shop', key: ['number'] })
export class Shop {
  @Column({ source: 'no' })
  @Required({ code: 'BAD_NUMBER' })
  @Digits(4, { code: 'BAD_NUMBER' })
  @NotAllSame({ code: 'SAME_DIGIT', severity: byOption })
  number!: string | null;

  @Column({ source: 'head', target: 'head_number' })
  @Digits(4, { code: 'BAD_HEAD', severity: 'warning', otherwise: null })
  @NotAllSame({ code: 'SAME_HEAD', severity: 'warning' })
  headNumber!: string | null;

  @Column({ source: 'name', ifNull: '' })
  @MaxCharacters(5)
  name!: string | null;

  @Column({
    source: 'capital',
    kind: int64({ nonNegative: true, removeCommas: true }),
    ifNull: '0',
    ifInvalid: { code: 'BAD_CAPITAL', severity: 'warning' },
  })
  capital!: string | null;

  @Column({ source: 'opened', ifNull: '' })
  @MaxCharacters(10)
  openedText!: string | null;

  @Column({
    source: 'opened',
    kind: isoDate(),
    ifInvalid: { code: 'BAD_DATE', severity: 'warning', otherwise: null },
  })
  opened!: string | null;

  @Column({
    source: 'invoice',
    kind: flag({ true: ['Y'], false: ['N'] }),
    ifNull: 'false',
    ifInvalid: { code: 'BAD_FLAG', severity: 'warning' },
  })
  @Required({ code: 'BAD_FLAG', severity: 'warning' })
  usesInvoice!: string | null;

  @Column({ source: 'email' })
  @IsOptional()
  @IsEmail({}, { context: { code: 'BAD_EMAIL', severity: 'warning', otherwise: null } })
  @Length(8, 12, {
    message: '$property must have $constraint1 to $constraint2 characters',
    context: { code: 'EMAIL_LENGTH' },
  })
  email!: string | null;

  @FromContext('date', { kind: isoDate() })
  dataDate!: string;

  @Children(() => ShopLine, {
    slots: [
      { code: 'c1', name: 'n1' },
      { code: 'c2', name: 'n2' },
      { code: 'c3', name: 'n3' },
    ],
  })
  lines!: ShopLine[];
}

export const SHOP = { name: 'shop', contract: Shop, format: 'csv' } as const;
/** The file's columns; `note` is read by no column. */
export const SHOP_COLUMNS = [
  'name',
  'no',
  'head',
  'capital',
  'opened',
  'note',
  'invoice',
  'email',
  'c1',
  'n1',
  'c2',
  'n2',
  'c3',
  'n3',
];

@ChildTable({ name: 'order_item' })
class OrderItem {
  @FromParent('id', { target: 'order_id' })
  order!: string;

  @SlotNumber()
  position!: number;

  @Column({ source: 'sku' })
  @Required({ code: 'NO_SKU' })
  @MaxCharacters(6)
  sku!: string | null;

  @Column({
    source: 'price.amount',
    kind: numeric({ precision: 6, scale: 2 }),
    ifInvalid: { code: 'BAD_PRICE' },
  })
  price!: string | null;

  @Column({ source: 'price', kind: jsonb() })
  priceJson!: string | null;
}

@ChildTable({ name: 'order_tag', rowWhen: 'tag', distinctBy: 'tag' })
class OrderTag {
  @FromParent('id', { target: 'order_id' })
  order!: string;

  @Column({ source: '' })
  @OneOf(['new', 'old', '東'], { severity: 'warning', code: 'ODD_TAG' })
  tag!: string | null;
}

@Table({ name: 'customer_order', key: ['id'], cleaning: { nullTokens: [''] } })
export class Order {
  @Column({ source: 'id', kind: int64(), ifInvalid: { code: 'BAD_ID' } })
  @Required({ code: 'BAD_ID' })
  id!: string | null;

  @Column({ source: 'customer.name' })
  @MaxCharacters(6)
  customer!: string | null;

  @Column({
    source: 'customer.country',
    ifInvalid: { code: 'BAD_COUNTRY', severity: 'warning', otherwise: '??' },
  })
  @Matches(/^[A-Z]{2}$/, { code: 'BAD_COUNTRY', severity: 'warning', otherwise: '??' })
  country!: string | null;

  @Column({ source: 'placedAt', kind: timestamptz() })
  placedAt!: string | null;

  @Column({ source: 'customer', kind: jsonb() })
  customerJson!: string | null;

  @Children(() => OrderItem, { path: 'items' })
  items!: OrderItem[];

  @Children(() => OrderTag, { path: 'meta.tags' })
  tags!: OrderTag[];
}

@ChildTable({ name: 'tax_note' })
class TaxNote {
  @FromParent('basket')
  basket!: string;

  @FromParent('tax')
  tax!: string;

  @Column({ source: '' })
  @OneOf(['new', 'old'], { code: 'ODD_NOTE' })
  note!: string | null;
}

@ChildTable({ name: 'line_tax' })
class LineTax {
  @FromParent('basket')
  basket!: string;

  @FromParent('position', { target: 'line' })
  line!: string;

  @FromParent('sku')
  sku!: string;

  @SlotNumber({ target: 'number' })
  tax!: number;

  @Column({
    source: 'rate',
    kind: numeric({ precision: 6, scale: 2 }),
    ifInvalid: { code: 'BAD_RATE', severity: 'warning', otherwise: '0' },
  })
  rate!: string | null;

  @Children(() => TaxNote, { path: 'notes' })
  notes!: TaxNote[];
}

@ChildTable({ name: 'basket_line', rowWhen: 'sku', distinctBy: 'sku' })
class BasketLine {
  @FromParent('id', { target: 'basket' })
  basket!: string;

  @SlotNumber()
  position!: number;

  @Column({ source: 'sku' })
  @MaxCharacters(6)
  sku!: string | null;

  @Column({ source: 'text' })
  @PairedWith('sku', { code: 'ORPHAN', severity: 'warning' })
  text!: string | null;

  @Children(() => LineTax, { path: 'details.taxes' })
  taxes!: LineTax[];
}

@ChildTable({ name: 'seat' })
class Seat {
  @FromParent('row')
  row!: string;

  @SlotNumber()
  place!: number;

  @Column({ source: '' })
  @MaxCharacters(6)
  guest!: string | null;
}

@ChildTable({ name: 'seat_row' })
class SeatRow {
  @FromParent('id', { target: 'basket' })
  basket!: string;

  @SlotNumber({ target: 'number' })
  row!: number;

  @Children(() => Seat, { path: '' })
  seats!: Seat[];
}

/** Four levels, and arrays that hold nothing but arrays. */
@Table({ name: 'basket', schema: 'sales', key: ['id'], cleaning: { nullTokens: [''] } })
export class Basket {
  @Column({ source: 'id' })
  @Required({ code: 'NO_ID' })
  @MaxCharacters(6)
  id!: string | null;

  @Children(() => BasketLine, { path: 'lines' })
  lines!: BasketLine[];

  @Children(() => SeatRow, { path: 'seats' })
  seats!: SeatRow[];
}

export const BASKET = { name: 'basket', contract: Basket, format: 'ndjson' } as const;

export const ORDER = { name: 'order', contract: Order, format: 'ndjson' } as const;
