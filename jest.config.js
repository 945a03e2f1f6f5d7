/** Three sizes, told apart by the file's suffix: `.spec` needs nothing, `.medium-spec` one real service, `.e2e-spec` the whole system. */
const base = {
  rootDir: import.meta.dirname,
  testEnvironment: '<rootDir>/test/support/plain-environment.js',
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironmentOptions: { customExportConditions: ['sluice-source', 'node', 'node-addons'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // As package.json's imports: Jest looks for what a change touches without export conditions.
    '^#test/(.*)\\.js$': '<rootDir>/test/$1',
    '^#(api|common|core|datasets|local)/(.*)\\.js$': '<rootDir>/libs/$1/src/$2',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.sluice/'],
  setupFiles: ['reflect-metadata'],
};
/** What measures the processes of a system: `npm test` runs these when nothing else does. */
const ALONE = ['/test/e2e/memory\\.e2e-spec\\.ts$'];
const wholeSystem = {
  ...base,
  globalSetup: '<rootDir>/test/support/build-before-e2e.js',
  testEnvironment: '<rootDir>/test/support/e2e-environment.js',
};

export default {
  testSequencer: '<rootDir>/test/support/sequencer.js',
  // Servers take seconds to start, and this machine may be busy with others. Jest reads it here only, not from a project.
  testTimeout: 300_000,
  projects: [
    { ...base, displayName: 'unit', testRegex: '\\.spec\\.ts$' },
    { ...base, displayName: 'medium', testRegex: '\\.medium-spec\\.ts$' },
    {
      ...wholeSystem,
      displayName: 'e2e',
      testRegex: '\\.e2e-spec\\.ts$',
      testPathIgnorePatterns: ['/node_modules/', ...ALONE],
    },
    { ...wholeSystem, displayName: 'e2e-alone', testRegex: ALONE },
  ],
};
