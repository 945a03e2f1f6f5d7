/** Hand-made registration files for e2e tests: right ones, and parts to make wrong ones of. */

export const HEADER =
  '營業地址,統一編號,總機構統一編號,營業人名稱,資本額,設立日期,組織別名稱,使用統一發票,' +
  '行業代號,名稱,行業代號1,名稱1,行業代號2,名稱2,行業代號3,名稱3';
export const DATE_LINE = `01-SEP-26${','.repeat(15)}`;

/** A registration without any finding; `number` makes it different from others. */
export function row(number: number, change: { readonly name?: string; readonly ban?: string } = {}): string {
  const ban = change.ban ?? validBan(number);
  const name = change.name ?? `第${number}商行`;
  return `"臺中市東　區樂業路${number}號",${ban},,"${name}",200000,1090105,獨資,N,472913,菸酒零售,,,,,,`;
}

/** A whole file of the given lines of records, with line feeds. */
export function fileOf(...lines: string[]): string {
  return [HEADER, DATE_LINE, ...lines, ''].join('\n');
}

/** Registrations 0 … count - 1, none with a finding. */
export function rows(count: number): string[] {
  return Array.from({ length: count }, (_, number) => row(number));
}

const WEIGHTS = [1, 2, 1, 2, 1, 2, 4, 1];

/** A business number that passes the checksum of 2023: seven digits are given, the eighth makes the sum right. */
export function validBan(number: number): string {
  const first = String(1_000_000 + number);
  const sum = (ban: string): number =>
    Array.from(ban).reduce((total, digit, i) => {
      const product = Number(digit) * (WEIGHTS[i] ?? 0);
      return total + Math.floor(product / 10) + (product % 10);
    }, 0);
  const last = '0123456789'.split('').find((digit) => sum(first + digit) % 5 === 0);
  return first + (last ?? '');
}
