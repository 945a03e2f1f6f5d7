/** Decimals of any length as whole numbers with a scale, for rules across columns. PURE. Nothing passes through a float. */
export interface Decimal {
  /** The number times 10 to the power of `scale`. */
  readonly units: bigint;
  readonly scale: number;
}

/** @param text as PostgreSQL reads a number without exponent: `-12.50` */
export function decimalOf(text: string): Decimal {
  const point = text.indexOf('.');
  if (point === -1) return { units: BigInt(text), scale: 0 };
  const fraction = text.slice(point + 1);
  return { units: BigInt(text.slice(0, point) + fraction), scale: fraction.length };
}

export function sumOf(decimals: readonly Decimal[]): Decimal {
  const scale = Math.max(0, ...decimals.map((one) => one.scale));
  return { units: decimals.reduce((sum, one) => sum + unitsAt(one, scale), 0n), scale };
}

export function productOf(decimals: readonly Decimal[]): Decimal {
  return decimals.reduce(
    (product, one) => ({ units: product.units * one.units, scale: product.scale + one.scale }),
    { units: 1n, scale: 0 },
  );
}

/** Rounded as PostgreSQL's `round(numeric, scale)`: halves away from zero. */
export function rounded(decimal: Decimal, scale: number): Decimal {
  if (decimal.scale <= scale) return decimal;
  const step = 10n ** BigInt(decimal.scale - scale);
  const half = decimal.units < 0n ? -step / 2n : step / 2n;
  return { units: (decimal.units + half) / step, scale };
}

export function isEqual(one: Decimal, other: Decimal): boolean {
  const scale = Math.max(one.scale, other.scale);
  return unitsAt(one, scale) === unitsAt(other, scale);
}

function unitsAt({ units, scale }: Decimal, wanted: number): bigint {
  return units * 10n ** BigInt(wanted - scale);
}
