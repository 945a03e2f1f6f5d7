import tseslint from 'typescript-eslint';

const noProcessEnv = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'Settings are read in libs/common/src/config/environment.ts only.',
};
const noBareError = {
  selector: "ThrowStatement > NewExpression[callee.name='Error']",
  message: 'Throw a SluiceError with a code from libs/common/src/errors/error-codes.ts.',
};

const noLooseSettings = {
  selector: "CallExpression[callee.name='loadSettings']",
  message: 'A service lists its settings classes in main.ts, so that its start checks all of them at once.',
};
/** libs/core/src/job/job-state.ts, J1: the job row has one owner. */
const jobWriter = '/(UPDATE|INSERT\\s+INTO|DELETE\\s+FROM)\\s+sluice\\.job\\b/i';
const noJobWriters = [`Literal[value=${jobWriter}]`, `TemplateElement[value.raw=${jobWriter}]`].map(
  (selector) => ({
    selector,
    message: 'Statements that change sluice.job stand in libs/core/src/job, as functions over SqlClient.',
  }),
);

/** docs/architecture.md: imports go downward only, apps → datasets → core → common; PURE rooms import no Kafka, Postgres or Nest. */
const importRules = (patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
const upward = (...rooms) => ({
  group: rooms,
  message: 'Imports go downward only: apps → datasets → core → common.',
});
const impure = {
  group: [
    'kafkajs',
    'pg',
    'pg-*',
    'typeorm',
    '@nestjs/*',
    '#common/kafka/*',
    '!#common/kafka/message.js',
    '#common/postgres/*',
    '#common/http/*',
  ],
  message: 'This room is pure: no Kafka, Postgres or Nest.',
};
const otherApps = {
  regex: '^(\\.\\./)+(ingestor|validator|loader|tracker|cli)/',
  message: 'Apps never import each other.',
};
const apps = ['**/apps/*'];

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.sluice/', 'coverage/'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-extraneous-class': 'off',
      // Nest declares its option bags as classes.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'off',
      'no-console': 'error',
      'max-lines': ['error', { max: 500 }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noProcessEnv, noBareError, ...noJobWriters] },
  },
  {
    // The programs that are no service read their settings themselves.
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: ['apps/cli/**', 'libs/local/**', 'apps/tracker/src/rebuild.ts'],
    rules: {
      'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings, ...noJobWriters],
    },
  },
  {
    files: ['libs/core/src/job/**/*.ts', 'libs/core/src/schema/migrations/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings] },
  },
  {
    files: ['libs/common/src/config/environment.ts'],
    rules: { 'no-restricted-syntax': ['error', ...noJobWriters] },
  },
  {
    files: ['**/*spec.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  { files: ['apps/**/*.ts'], rules: importRules([otherApps]) },
  {
    files: ['apps/**/*.ts'],
    ignores: ['apps/cli/**', '**/*spec.ts'],
    rules: importRules([
      otherApps,
      { group: ['#local/*'], message: 'Only the command line knows the local system.' },
    ]),
  },
  {
    // Processes on one machine: it starts the services by their files, and knows nothing of what they do.
    files: ['libs/local/**/*.ts'],
    rules: importRules([upward('#core/*', '#datasets/*', ...apps)]),
  },
  {
    files: ['libs/common/**/*.ts'],
    rules: importRules([upward('#core/*', '#datasets/*', '#local/*', ...apps)]),
  },
  { files: ['libs/core/**/*.ts'], rules: importRules([upward('#datasets/*', '#local/*', ...apps)]) },
  {
    files: [
      'libs/core/src/record/**/*.ts',
      'libs/core/src/message/**/*.ts',
      'libs/core/src/job/job-state.ts',
      'libs/core/src/ledger/balance.ts',
      'libs/core/src/source/**/*.ts',
      'libs/datasets/src/**/*.ts',
    ],
    ignores: ['**/*spec.ts'],
    rules: importRules([upward('#local/*', ...apps), impure]),
  },
  {
    files: ['**/*.spec.ts', '**/*.medium-spec.ts', '**/*.e2e-spec.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
);
