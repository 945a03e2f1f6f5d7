/** The check of README section 5, as the Ministry of Finance published it. PURE. */

export const NUMBER_DIGITS = 8;

const WEIGHTS = [1, 2, 1, 2, 1, 2, 4, 1];

/** `[place][digit]`: the digit times its weight, the digits of the product added up (4 × 7 = 28 gives 10). */
const ADDENDS = WEIGHTS.map((weight) => Array.from({ length: 10 }, (_, digit) => digitSum(digit * weight)));

/** Since April 2023; until then it was 10, so old numbers stay valid. */
const MODULUS = 5;
const OLD_MODULUS = 10;
/** A 7 there adds 10, of which either digit may count: the sum may be one higher. */
const PLACE_OF_SEVEN = 6;

function digitSum(product: number): number {
  return Math.floor(product / 10) + (product % 10);
}

/** @param digitAt the digit 0…9 at place 0…7 */
export function passesChecksum(digitAt: (place: number) => number): boolean {
  let sum = 0;
  let isAllZero = true;
  for (let place = 0; place < NUMBER_DIGITS; place += 1) {
    const digit = digitAt(place);
    if (digit !== 0) isAllZero = false;
    sum += ADDENDS[place]?.[digit] ?? 0;
  }
  if (isAllZero) return false;
  return sum % MODULUS === 0 || (digitAt(PLACE_OF_SEVEN) === 7 && (sum + 1) % MODULUS === 0);
}

/**
 * Completes seven digits to a number that passes; for generated data.
 * Of ten variants nine pass the old check as well, as nine of ten published numbers do.
 */
export function lastDigitFor(prefix: string, variant: number): string {
  let sum = 0;
  for (let place = 0; place < prefix.length; place += 1) {
    sum += ADDENDS[place]?.[prefix.charCodeAt(place) - 0x30] ?? 0;
  }
  const old = (OLD_MODULUS - (sum % OLD_MODULUS)) % OLD_MODULUS;
  const isOld = variant % 10 !== 0 && !(sum === 0 && old === 0);
  return String(isOld ? old : (old + MODULUS) % OLD_MODULUS);
}
