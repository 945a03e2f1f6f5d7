import { type ValidationOptions, registerDecorator } from '../validation/class-validator.js';

/** The longest text of a request: a signed address has some 2 KB, a path at most 4. */
export const MAX_TEXT_BYTES = 8 * 1024;

/** Options of a dataset are a handful. */
const MAX_TEXTS = 100;

/**
 * A text that every part behind the API can keep: PostgreSQL takes no NUL and, as JSON, no half of a surrogate pair;
 * other control characters forge lines of logs and terminals.
 */
export function isText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value) &&
    Buffer.byteLength(value) <= MAX_TEXT_BYTES
  );
}

const WHAT = `without control characters and halves of surrogate pairs, of at most ${MAX_TEXT_BYTES} bytes`;

/** Every text of a body has this, in place of IsString. */
export function IsText(options: ValidationOptions = {}): PropertyDecorator {
  return decorator('isText', `must be a text ${WHAT}`, isText, options);
}

/** An object whose names and values are such texts. */
export function IsRecordOfTexts(options: ValidationOptions = {}): PropertyDecorator {
  const isRecord = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length <= MAX_TEXTS &&
    Object.entries(value).every((pair) => pair.every(isText));
  return decorator(
    'isRecordOfTexts',
    `must be an object of at most ${MAX_TEXTS} texts ${WHAT}`,
    isRecord,
    options,
  );
}

function decorator(
  name: string,
  what: string,
  validate: (value: unknown) => boolean,
  options: ValidationOptions,
): PropertyDecorator {
  return (prototype, property) => {
    registerDecorator({
      name,
      target: prototype.constructor,
      propertyName: String(property),
      options,
      validator: { validate, defaultMessage: () => `${String(property)} ${what}` },
    });
  };
}
