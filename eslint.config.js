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
/** libs/core/src/job/job-state.ts, JS1: the job row has one owner. */
const jobWriter = '/(UPDATE|INSERT\\s+INTO|DELETE\\s+FROM)\\s+sluice\\.job\\b/i';
const noJobWriters = [`Literal[value=${jobWriter}]`, `TemplateElement[value.raw=${jobWriter}]`].map(
  (selector) => ({
    selector,
    message: 'Statements that change sluice.job stand in libs/core/src/job, as functions over SqlClient.',
  }),
);
/** libs/core/src/stream/stream-state.ts, SS1: and so has the row of a stream. */
const streamWriter = '/(UPDATE|INSERT\\s+INTO|DELETE\\s+FROM)\\s+sluice\\.stream\\b/i';
const noStreamWriters = [`Literal[value=${streamWriter}]`, `TemplateElement[value.raw=${streamWriter}]`].map(
  (selector) => ({
    selector,
    message:
      'Statements that change sluice.stream stand in libs/core/src/stream, as functions over SqlClient.',
  }),
);
const noWriters = [...noJobWriters, ...noStreamWriters];

/** docs/architecture.md: imports go downward only, apps → datasets → core → common and api; PURE rooms import no Kafka, Postgres or Nest. */
const importRules = (patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
/** By regex: in a glob, `#` begins a comment. @param libraries names of aliases */
const upward = (...libraries) => ({
  regex: `^#(${libraries.join('|')})/|(^|/)apps/`,
  message: 'Imports go downward only: apps → datasets → core → common and api.',
});
const impure = {
  regex: '^(kafkajs|pg|pg-.*|typeorm|@nestjs/.*|#common/(kafka/(client|transport)|postgres|http)/.*)$',
  message: 'This room is pure: no Kafka, Postgres or Nest.',
};
const slowSwagger = {
  regex: '^@nestjs/swagger$',
  message: 'It costs a fifth of a start: take its decorators from #common/http/api-decorators.js.',
};
const wholeClassValidator = {
  regex: '^class-validator$',
  message: 'It costs each start 0.15 s: take its parts from #common/validation/class-validator.js.',
  allowTypeImports: true,
};
const logFiles = {
  regex: '^pino-roll$',
  message: 'With date-fns it costs each start 0.1 s: import it where a log file is opened.',
};
const otherApps = {
  regex: '^(\\.\\./)+(ingestor|validator|loader|tracker|cli)/',
  message: 'Apps never import each other.',
};

/** The rooms of libs/core, lowest first: each imports those before it only. Specs may start a database. */
const CORE_ROOMS = [
  'finding',
  'source',
  'dataset',
  'record',
  'derive',
  'registry',
  'message',
  'raw-log',
  'repair',
  'staging',
  'ledger',
  'job',
  'stream',
  'replay',
  'schema',
  'conformance',
];
const PURE_ROOMS = ['finding', 'source', 'dataset', 'record', 'derive', 'message'];

function coreImports(room) {
  const above = room === undefined ? [] : CORE_ROOMS.slice(CORE_ROOMS.indexOf(room) + 1);
  const rooms = {
    regex: `^(\\.\\./)+(${above.join('|')})/`,
    message: `Rooms of the core import downward only: ${CORE_ROOMS.join(' < ')}.`,
  };
  return [
    upward('datasets', 'local'),
    ...(above.length > 0 ? [rooms] : []),
    ...(PURE_ROOMS.includes(room) ? [impure] : []),
  ];
}

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.sluice/', 'coverage/', 'dashboards/pictures/'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    // One program for all files, as tsc has it: a service for editors takes a fifth more of the processor's time.
    languageOptions: { parserOptions: { project: 'tsconfig.json', tsconfigRootDir: import.meta.dirname } },
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
    rules: { 'no-restricted-syntax': ['error', noProcessEnv, noBareError, ...noWriters] },
  },
  {
    // The programs that are no service read their settings themselves.
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: ['apps/cli/**', 'libs/local/**', 'apps/tracker/src/rebuild.ts'],
    rules: {
      'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings, ...noWriters],
    },
  },
  {
    files: ['libs/core/src/job/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings, ...noStreamWriters],
    },
  },
  {
    files: ['libs/core/src/stream/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings, ...noJobWriters] },
  },
  {
    files: ['libs/core/src/schema/migrations/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noProcessEnv, noBareError, noLooseSettings] },
  },
  {
    files: ['libs/common/src/config/environment.ts'],
    rules: { 'no-restricted-syntax': ['error', ...noWriters] },
  },
  {
    files: ['**/*spec.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: ['**/*spec.ts', '**/*.d.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [wholeClassValidator, logFiles] }],
    },
  },
  { files: ['apps/**/*.ts'], rules: importRules([otherApps, slowSwagger]) },
  {
    files: ['apps/**/*.ts'],
    ignores: ['apps/cli/**', '**/*spec.ts'],
    rules: importRules([
      otherApps,
      slowSwagger,
      { regex: '^#local/', message: 'Only the command line knows the local system.' },
    ]),
  },
  {
    // Processes on one machine: it starts the services by their files, and knows nothing of what they do.
    files: ['libs/local/**/*.ts'],
    rules: importRules([upward('api', 'core', 'datasets')]),
  },
  {
    // The shapes of the HTTP API: a client outside the services can import them.
    files: ['libs/api/**/*.ts'],
    rules: importRules([
      { regex: '^[^.]|^(\\.\\./)+\\.\\.', message: 'libs/api imports nothing but its own files.' },
    ]),
  },
  {
    files: ['libs/common/**/*.ts'],
    rules: importRules([upward('api', 'core', 'datasets', 'local')]),
  },
  {
    // What kafkajs is taught knows nothing of who uses it.
    files: ['libs/common/src/kafka/client/**/*.ts'],
    ignores: ['**/*spec.ts'],
    rules: importRules([
      upward('api', 'core', 'datasets', 'local'),
      { group: ['**/transport/*'], message: 'The transport imports the client, not the other way round.' },
    ]),
  },
  { files: ['libs/core/**/*.ts'], rules: importRules(coreImports()) },
  ...CORE_ROOMS.map((room) => ({
    files: [`libs/core/src/${room}/**/*.ts`],
    ignores: ['**/*spec.ts'],
    rules: importRules(coreImports(room)),
  })),
  { files: ['libs/core/src/job/job-state.ts'], rules: importRules([...coreImports('job'), impure]) },
  {
    files: ['position', 'range-builder', 'stream-breaker', 'stream-state'].map(
      (name) => `libs/core/src/stream/${name}.ts`,
    ),
    rules: importRules([...coreImports('stream'), impure]),
  },
  { files: ['libs/core/src/ledger/balance.ts'], rules: importRules([...coreImports('ledger'), impure]) },
  {
    files: ['libs/datasets/src/**/*.ts'],
    ignores: ['**/*spec.ts'],
    rules: importRules([upward('local'), impure]),
  },
  {
    files: ['**/*.spec.ts', '**/*.medium-spec.ts', '**/*.e2e-spec.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
);
