import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { type CrossChecked, Variable } from '#common/config/environment.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Limits of every source; what one kind alone has to know stands in a class in its folder. */
export class SourceConfig implements CrossChecked {
  @Variable('SLUICE_SOURCE_MAX_BYTES', 'Largest source, in uncompressed bytes')
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  maxBytes: number = 64 * GIB;

  /** Deflate reaches at most 1032 : 1; a CSV of one repeated row about 300 : 1, real ones 3 to 15 : 1. */
  @Variable('SLUICE_SOURCE_MAX_RATIO', 'Largest ratio of uncompressed to compressed bytes')
  @IsInt()
  @Min(1)
  @Max(2000)
  maxRatio: number = 200;

  @Variable('SLUICE_SOURCE_RATIO_FREE_BYTES', 'Uncompressed bytes up to which the ratio does not matter')
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  ratioFreeBytes: number = 64 * MIB;

  crossCheck(): readonly string[] {
    return this.ratioFreeBytes > this.maxBytes
      ? ['SLUICE_SOURCE_RATIO_FREE_BYTES must not be larger than SLUICE_SOURCE_MAX_BYTES']
      : [];
  }
}
