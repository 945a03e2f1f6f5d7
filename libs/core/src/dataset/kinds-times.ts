/** Kinds of days and times. PURE. Patterns are those of `time-pattern.ts`. */
import { defineKind, type Kind, kindInvalid } from './kind.js';
import { isCalendarDay, TimePattern } from './time-pattern.js';

/** A day of the Gregorian calendar, `2026-09-01`, years 0001 to 9999. */
export function isoDate(): Kind {
  const pattern = new TimePattern('YYYY-MM-DD', { kind: 'isoDate', day: true, time: false, offset: false });
  return defineKind({
    name: 'isoDate',
    columnType: 'date',
    accepts: (value) => {
      const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(value);
      return match !== null && isCalendarDay(Number(match[1]), Number(match[2]), Number(match[3]));
    },
    acceptsBytes: (bytes, start, end) => pattern.accepts(bytes, start, end),
    message: 'must be a calendar date, YYYY-MM-DD',
    write: (bytes, start, end, out) => {
      out.raw(bytes, start, end);
    },
  });
}

/** A day of the Gregorian calendar as the pattern writes it: `date('DD/MM/YYYY')`, `date('YYYYMMDD')`, `date('D.M.YY')`. */
export function date(pattern: string): Kind {
  const use = { kind: `date(${JSON.stringify(pattern)})`, day: true, time: false, offset: false };
  return patterned('date', 'date', new TimePattern(pattern, use), '', `must be a calendar date, ${pattern}`);
}

const CLOCK = String.raw`(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?`;

/** A time of day, `08:30` to `23:59:59.999999`, or as the pattern writes it. Without zone. */
export function time(pattern?: string): Kind {
  if (pattern !== undefined) {
    const use = { kind: `time(${JSON.stringify(pattern)})`, day: false, time: true, offset: false };
    return patterned('time', 'time', new TimePattern(pattern, use), '', `must be a time of day, ${pattern}`);
  }
  const form = new RegExp(`^${CLOCK}$`);
  return defineKind({
    name: 'time',
    columnType: 'time',
    accepts: (value) => form.test(value),
    message: 'must be a time of day, HH:MM, seconds and their fraction as they may follow',
  });
}

/** A day and time without zone, `2026-09-01 08:30:00` (or with a T), or as the pattern writes it. */
export function timestamp(pattern?: string): Kind {
  if (pattern !== undefined) {
    const use = { kind: `timestamp(${JSON.stringify(pattern)})`, day: true, time: true, offset: false };
    return patterned(
      'timestamp',
      'timestamp',
      new TimePattern(pattern, use),
      '',
      `must be a day and time, ${pattern}`,
    );
  }
  return localMoment(
    'timestamp',
    'timestamp',
    '',
    'must be a day and time without offset, e.g. 2026-09-01 08:30:00',
  );
}

export interface MomentOptions {
  /** As the source writes it; default as ISO 8601 does. With the token `Z` the offset stands in the value. */
  readonly pattern?: string;
  /** Where the clock hangs whose times the source writes: a name of the tz database, `Asia/Taipei`. */
  readonly zone?: string;
}

/**
 * A moment: with its offset, `2026-09-01T08:30:00.123Z` or `+08:00`; or, with `zone`, the time of that zone's clocks.
 * PostgreSQL keeps microseconds, and resolves what a change of the clocks makes doubtful: a time that is skipped counts as
 * before the change, one that comes twice as the later one, standard time.
 */
export function timestamptz(options: MomentOptions = {}): Kind {
  const { pattern, zone } = options;
  if (zone !== undefined) checkZone(zone);
  if (pattern !== undefined) {
    const use = {
      kind: `timestamptz(${JSON.stringify(pattern)})`,
      day: true,
      time: true,
      offset: zone === undefined,
    };
    const suffix = zone === undefined ? '' : ` ${zone}`;
    return patterned(
      'timestamptz',
      'timestamptz',
      new TimePattern(pattern, use),
      suffix,
      `must be a moment, ${pattern}`,
    );
  }
  if (zone !== undefined) {
    return localMoment(
      'timestamptz',
      'timestamptz',
      ` ${zone}`,
      `must be a day and time of ${zone}, e.g. 2026-09-01 08:30:00`,
    );
  }
  const form =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)$/;
  return defineKind({
    name: 'timestamptz',
    columnType: 'timestamptz',
    accepts: (value) => isDayOf(form.exec(value)),
    message: 'must be a moment with its offset, e.g. 2026-09-01T08:30:00Z',
  });
}

function localMoment(name: string, columnType: string, suffix: string, message: string): Kind {
  const form = new RegExp(`^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]${CLOCK}$`);
  return defineKind({
    name,
    columnType,
    accepts: (value) => isDayOf(form.exec(value)),
    message,
    ...(suffix === '' ? {} : { toText: (value: string) => value + suffix }),
  });
}

function isDayOf(match: RegExpExecArray | null): boolean {
  return match !== null && isCalendarDay(Number(match[1]), Number(match[2]), Number(match[3]));
}

/** @param suffix what follows each value for PostgreSQL: the zone */
function patterned(
  name: string,
  columnType: string,
  pattern: TimePattern,
  suffix: string,
  message: string,
): Kind {
  return defineKind({
    name,
    columnType,
    accepts: (value) => pattern.read(value) !== null,
    acceptsBytes: (bytes, start, end) => pattern.accepts(bytes, start, end),
    message,
    toText: (value) => (pattern.read(value) ?? '') + suffix,
    write: (bytes, start, end, out) => {
      // Other values may have been read since it was accepted: other columns share no pattern, but rules ask in between.
      pattern.accepts(bytes, start, end);
      out.ascii(pattern.text(bytes, start) + suffix);
    },
  });
}

/** @throws SluiceError DATASET_INVALID where Node's tz database, or PostgreSQL's way to name zones, has no such zone */
function checkZone(zone: string): void {
  const invalid = kindInvalid('timestamptz', `${JSON.stringify(zone)} is no time zone of the tz database`);
  // An offset is no zone here: PostgreSQL reads the sign of `UTC+8` the other way round.
  if (typeof zone !== 'string' || !/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(zone))
    throw invalid;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
  } catch {
    throw invalid;
  }
}
