import { describe, expect, it } from '@jest/globals';
import * as whole from 'class-validator';
import * as parts from './class-validator.js';

describe('the parts of class-validator', () => {
  it('are those of the package, so that decorators of both are known to both', () => {
    const { validate: _, validateSync: __, ...taken } = parts;
    for (const [name, part] of Object.entries(taken))
      expect([name, part]).toEqual([name, whole[name as never]]);
    expect(Object.keys(taken)).toContain('IsInt');
  });

  it('find what the package finds', async () => {
    class Sample {
      @whole.IsEmail() address = 'none';
      @parts.Max(1) count = 2;
    }
    const found = whole.validateSync(new Sample());
    expect(found.map(({ property }) => property)).toEqual(['address', 'count']);
    expect(parts.validateSync(new Sample())).toEqual(found);
    expect(await parts.validate(new Sample())).toEqual(found);
  });
});
