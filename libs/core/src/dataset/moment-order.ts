/** The order of days and times as PostgreSQL stores them, for rules across columns. PURE. */

const FORM =
  /^(?:(\d{4})-(\d{2})-(\d{2}))?(?:[T ]?(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(?:(Z)|([+-])(\d{2})(?::?(\d{2}))?| ([A-Za-z][A-Za-z0-9_+/-]*))?$/;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
const NANOSECONDS_A_MS = 1_000_000n;

/**
 * A day, time, timestamp or moment as a number of nanoseconds, to be compared with others of its type.
 * @param text as PostgreSQL reads it: what a kind writes
 * @returns null where it has another form, as a kind of the dataset's own may write it
 */
export function momentOf(text: string): bigint | null {
  const match = FORM.exec(text);
  if (match === null || text === '') return null;
  const [, year, month, day, hour, minute, second, fraction = '', utc, sign, hours, minutes, zone] = match;
  const days =
    year === undefined ? 0 : new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const clock =
    Number(hour ?? 0) * 60 * MINUTE_MS + Number(minute ?? 0) * MINUTE_MS + Number(second ?? 0) * SECOND_MS;
  let moment = days + clock;
  if (utc === undefined && sign !== undefined) {
    const offset = (Number(hours) * 60 + Number(minutes ?? 0)) * MINUTE_MS;
    moment -= sign === '-' ? -offset : offset;
  } else if (zone !== undefined) moment = inZone(moment, zone);
  return BigInt(moment) * NANOSECONDS_A_MS + BigInt(fraction.padEnd(9, '0'));
}

/**
 * What PostgreSQL makes of a zone's clock: a time that is skipped counts as before the change, one that comes twice as the
 * later one.
 * @param local the clock's time as if it were UTC
 */
function inZone(local: number, zone: string): number {
  const before = offsetOf(zone, local - DAY_MS);
  const after = offsetOf(zone, local + DAY_MS);
  if (before === after) return local - before;
  const isAfter = offsetOf(zone, local - after) === after;
  return isAfter ? local - after : local - before;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** How far the zone's clocks are ahead of UTC at a moment, in milliseconds. */
function offsetOf(zone: string, moment: number): number {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat('en-US', {
      ...{
        timeZone: zone,
        hourCycle: 'h23',
        era: 'short',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
      },
      ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
    clocks.set(zone, clock);
  }
  const parts = new Map(clock.formatToParts(moment).map(({ type, value }) => [type, value]));
  const numberOf = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  const year = parts.get('era') === 'BC' ? 1 - numberOf('year') : numberOf('year');
  const shown = new Date(0);
  shown.setUTCFullYear(year, numberOf('month') - 1, numberOf('day'));
  shown.setUTCHours(numberOf('hour'), numberOf('minute'), numberOf('second'));
  return shown.getTime() - Math.floor(moment / SECOND_MS) * SECOND_MS;
}
