/** The unit project alone, and of it the specs of the rooms that scripts/mutants.js mutates. */
import config from './jest.config.js';

const { displayName: _, ...unit } = config.projects[0];

export default {
  ...unit,
  testRegex: `libs/core/src/(${process.env.MUTANT_ROOMS})/.*\\.spec\\.ts$`,
  // It measures the heap, which grows with what Stryker keeps.
  testPathIgnorePatterns: ['/node_modules/', '/refused-records\\.spec'],
  moduleNameMapper: {
    ...unit.moduleNameMapper,
    '^fast-check$': '<rootDir>/test/support/short-fast-check.js',
  },
  testTimeout: 120_000,
};
