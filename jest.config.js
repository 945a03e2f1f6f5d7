/** Three sizes, told apart by the file's suffix: `.spec` needs nothing, `.medium-spec` one real service, `.e2e-spec` the whole system. */
const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironmentOptions: { customExportConditions: ['sluice-source', 'node', 'node-addons'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
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
    '^#(common|core|datasets|local)/(.*)\\.js$': '<rootDir>/libs/$1/src/$2',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.sluice/'],
  setupFiles: ['reflect-metadata'],
};
export default {
  // Servers take seconds to start, and this machine may be busy with others. Jest reads it here only, not from a project.
  testTimeout: 120_000,
  projects: [
    { ...base, displayName: 'unit', testRegex: '\\.spec\\.ts$' },
    { ...base, displayName: 'medium', testRegex: '\\.medium-spec\\.ts$' },
    {
      ...base,

      displayName: 'e2e',
      testRegex: '\\.e2e-spec\\.ts$',
      globalSetup: '<rootDir>/test/support/build-before-e2e.js',
      testEnvironment: '<rootDir>/test/support/e2e-environment.js',
    },
  ],
};
