/** For scripts/mutants.js, which says what is mutated. */
const { MUTANTS_OF = '', MUTANT_ROOMS = '' } = process.env;

export default {
  testRunner: 'jest',
  plugins: ['@stryker-mutator/jest-runner'],
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  jest: { projectType: 'custom', configFile: 'jest.mutants.config.js', enableFindRelatedTests: true },
  coverageAnalysis: 'perTest',
  // What is evaluated at import is tried against every test of the room: in this one that takes half a minute each.
  ignoreStatic: MUTANT_ROOMS.split('|').includes('record'),
  // What speaks SQL is tested on a real PostgreSQL, which no mutant run starts.
  mutate: [
    ...MUTANTS_OF.split(','),
    '!**/*spec.ts',
    '!**/*.repository.ts',
    '!**/*.entity.ts',
    '!**/*-transitions.ts',
    '!**/*-claim.ts',
  ],
  ignorePatterns: ['dist', 'coverage', '.sluice', 'bench', 'docs'],
  tempDirName: '.sluice/mutants',
  reporters: ['progress-append-only', 'clear-text', 'html', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false, skipFull: true },
  htmlReporter: { fileName: 'coverage/mutants/index.html' },
  jsonReporter: { fileName: 'coverage/mutants/mutants.json' },
  thresholds: { high: 90, low: 75, break: 60 },
  concurrency: 2,
  // Beside one and a half times what the tests of the place take; a process that was ended costs its start besides.
  timeoutMS: 10_000,
  allowEmpty: false,
};
