/** Numbers, durations and shares as people read them. PURE. */

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 1234567 → `1,234,567` */
export function formatCount(count: number): string {
  return WHOLE.format(count);
}

/** `1 warning`, `2,000 warnings` */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** 0.00214 → `0.21 %` */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** `0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`, `3 d 04 h` */
export function formatDuration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
}

const twoDigits = (value: number): string => String(value).padStart(2, '0');

/** Decimal units: 51500 → `51.5 kB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${formatCount(bytes)} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `24,390 rows/s`; undefined when there is nothing to divide. */
export function formatRate(count: number, seconds: number | null): string | undefined {
  return seconds !== null && seconds > 0 && count > 0 ? `${formatCount(count / seconds)} rows/s` : undefined;
}

/** ISO time → `2026-01-31 12:00:05` in UTC, so that two people see the same; `–` for none. */
export function formatTime(iso: string | null): string {
  return iso === null ? '–' : new Date(iso).toISOString().slice(0, 19).replace('T', ' ');
}
