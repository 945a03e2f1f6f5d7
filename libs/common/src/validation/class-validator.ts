// eslint-disable-next-line @typescript-eslint/triple-slash-reference -- programs that compile a dataset alone do not find the declarations
/// <reference path="./class-validator-files.d.ts" />
/**
 * What Sluice uses of class-validator, from its files. The package as a whole has the phone numbers of all countries and three
 * hundred other files, which cost each start of a service or of the command line 0.15 s. Its files are the same
 * instances, so decorators of both are known to both.
 */
import { Validator } from 'class-validator/cjs/validation/Validator.js';
import { getFromContainer } from 'class-validator/cjs/container.js';
import type { ValidationError, ValidatorOptions } from 'class-validator';

export type {
  ValidationArguments,
  ValidationError,
  ValidationOptions,
  ValidatorConstraintInterface,
} from 'class-validator';

export { ArrayMaxSize } from 'class-validator/cjs/decorator/array/ArrayMaxSize.js';
export { ArrayMinSize } from 'class-validator/cjs/decorator/array/ArrayMinSize.js';
export { IsIn } from 'class-validator/cjs/decorator/common/IsIn.js';
export { IsNotEmpty } from 'class-validator/cjs/decorator/common/IsNotEmpty.js';
export { IsOptional } from 'class-validator/cjs/decorator/common/IsOptional.js';
export { Validate, ValidatorConstraint } from 'class-validator/cjs/decorator/common/Validate.js';
export { ValidateBy } from 'class-validator/cjs/decorator/common/ValidateBy.js';
export { ValidateNested } from 'class-validator/cjs/decorator/common/ValidateNested.js';
export { Max } from 'class-validator/cjs/decorator/number/Max.js';
export { Min } from 'class-validator/cjs/decorator/number/Min.js';
export { IsBase64 } from 'class-validator/cjs/decorator/string/IsBase64.js';
export { IsISO8601 } from 'class-validator/cjs/decorator/string/IsISO8601.js';
export { IsUUID } from 'class-validator/cjs/decorator/string/IsUUID.js';
export { IsUrl } from 'class-validator/cjs/decorator/string/IsUrl.js';
export { Matches } from 'class-validator/cjs/decorator/string/Matches.js';
export { MaxLength } from 'class-validator/cjs/decorator/string/MaxLength.js';
export { IsArray } from 'class-validator/cjs/decorator/typechecker/IsArray.js';
export { IsBoolean } from 'class-validator/cjs/decorator/typechecker/IsBoolean.js';
export { IsInt } from 'class-validator/cjs/decorator/typechecker/IsInt.js';
export { IsNumber } from 'class-validator/cjs/decorator/typechecker/IsNumber.js';
export { IsObject } from 'class-validator/cjs/decorator/typechecker/IsObject.js';
export { IsString } from 'class-validator/cjs/decorator/typechecker/IsString.js';
export { getMetadataStorage } from 'class-validator/cjs/metadata/MetadataStorage.js';
export { registerDecorator } from 'class-validator/cjs/register-decorator.js';

/** As class-validator's own. */
export function validate(object: object, options?: ValidatorOptions): Promise<ValidationError[]> {
  return getFromContainer(Validator).validate(object, options);
}

/** As class-validator's own. */
export function validateSync(object: object, options?: ValidatorOptions): ValidationError[] {
  return getFromContainer(Validator).validateSync(object, options);
}
