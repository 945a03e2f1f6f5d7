import fc from 'fast-check';
import { cleanString } from '../../../libs/core/src/record/cleaning.js';
import type { PlainElement, PlainRecord } from './plain-judge.js';

const optional = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | null | undefined> =>
  fc.option(fc.option(arbitrary, { nil: undefined }), { freq: 8 });

const mostly = <Value>(
  ...values: readonly [fc.Arbitrary<Value>, ...fc.Arbitrary<unknown>[]]
): fc.Arbitrary<unknown> => fc.oneof({ weight: 4, arbitrary: values[0] }, ...values.slice(1));
const arrayOf = (element: fc.Arbitrary<unknown>, maxLength: number): fc.Arbitrary<unknown> =>
  optional(fc.array(fc.option(element, { freq: 8 }), { maxLength }));

/** Baskets (`sample-contracts.ts`) that are nearly right, on every level. @param jsonValue what may stand where a value is read */
export const basketObject = (jsonValue: fc.Arbitrary<unknown>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    {
      id: mostly<unknown>(fc.constantFrom('b1', 'b2', 7), jsonValue),
      lines: arrayOf(
        fc.record(
          {
            sku: mostly<unknown>(fc.constantFrom('a', 'b', 'c', 'd'), jsonValue),
            text: optional(mostly<unknown>(fc.constantFrom('a', 'b', 'abcdef', 5, 1.25), jsonValue)),
            details: optional(
              fc.record(
                {
                  taxes: arrayOf(
                    fc.record(
                      {
                        rate: optional(mostly<unknown>(fc.constantFrom(1.5, '2.25', 'x'), jsonValue)),
                        notes: arrayOf(mostly<unknown>(fc.constantFrom('new', 'old', ' new'), jsonValue), 3),
                      },
                      { requiredKeys: [] },
                    ),
                    3,
                  ),
                },
                { requiredKeys: [] },
              ),
            ),
          },
          { requiredKeys: [] },
        ),
        4,
      ),
      seats: arrayOf(
        fc.array(
          fc.option(mostly<unknown>(fc.constantFrom('a', 'b', 'abcdef', 5, 1.25), jsonValue), { freq: 5 }),
          { maxLength: 3 },
        ),
        3,
      ),
    },
    { requiredKeys: ['id'] },
  );

type Inside = (value: unknown, place: string) => PlainElement['places'];

/** The elements of an array as a child reads them: its paths, and what stands inside each. */
function elementsAt(
  array: unknown,
  place: string,
  paths: readonly string[],
  inside: Inside = () => undefined,
): PlainElement[] {
  return ((array ?? []) as unknown[]).map((value, index) => {
    const here = `${place}[${index}]`;
    const nameOf = (path: string): string => (path === '' ? here : `${here}.${path}`);
    const read = (path: string): unknown =>
      path === '' ? value : (value as Record<string, unknown> | null)?.[path];
    const places = inside(value, here);
    return {
      slot: index + 1,
      read,
      nameOf,
      texts: paths.map((path) => ({ name: nameOf(path), value: read(path) })),
      ...(places === undefined ? {} : { places }),
    };
  });
}

/** As its contract's classes read it. */
export function basketRecord(basket: Readonly<Record<string, unknown>>): PlainRecord {
  type Line = { details?: { taxes?: unknown } | null } | null;
  const notes: Inside = (tax, place) => () =>
    elementsAt((tax as { notes?: unknown } | null)?.notes, `${place}.notes`, ['']);
  const taxes: Inside = (line, place) => () =>
    elementsAt((line as Line)?.details?.taxes, `${place}.details.taxes`, ['rate'], notes);
  const seats: Inside = (row, place) => () => elementsAt(row, place, ['']);
  return {
    read: (path) => basket[path],
    nameOf: (path) => path,
    isBlank: Object.values(basket).every((value) =>
      typeof value === 'string'
        ? cleanString(value, { nullTokens: [''] }) === null
        : value === null || isEmpty(value),
    ),
    texts: [{ name: 'id', value: basket['id'] }],
    places: (child) =>
      child === 0
        ? elementsAt(basket['lines'], 'lines', ['sku', 'text'], taxes)
        : elementsAt(basket['seats'], 'seats', [], seats),
  };
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
