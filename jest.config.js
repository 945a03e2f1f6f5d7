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
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.sluice/'],
  setupFiles: ['reflect-metadata'],
};
/** Servers take seconds to start, and this machine may be busy with others. */
const withServices = { testTimeout: 120_000 };
export default {
  projects: [
    { ...base, displayName: 'unit', testRegex: '\\.spec\\.ts$' },
    { ...base, ...withServices, displayName: 'medium', testRegex: '\\.medium-spec\\.ts$' },
    { ...base, ...withServices, displayName: 'e2e', testRegex: '\\.e2e-spec\\.ts$' },
  ],
};
