/**
 * The kinds that Sluice has, by family. PURE. `kind.ts` says what a kind is, and how a dataset brings its own.
 */
export { type Kind, type KindDefinition, type ValueWriter, decode, defineKind } from './kind.js';
export {
  float64,
  int16,
  int32,
  int64,
  type IntegerOptions,
  numeric,
  type NumericOptions,
} from './kinds-numbers.js';
export { isCalendarDay } from './time-pattern.js';
export { date, isoDate, time, timestamp, timestamptz } from './kinds-times.js';
export { enumOf, flag, mapped, text, uuid, varchar } from './kinds-words.js';
export { arrayOf, HALF_SURROGATE_PAIR, jsonb } from './kinds-documents.js';
