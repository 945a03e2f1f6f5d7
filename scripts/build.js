/**
 * Builds `dist`: TypeScript by tsc, and beside it every other file of the source folders (SQL, contracts' Markdown,
 * fixtures, Kafka's pom), so that code finds its files at the same place in `dist` as in the sources.
 *
 * - BD1: what has no source any more is removed from `dist`: the registry reads folders, so a leftover would come alive.
 * - BD2: the stamp is written last and dated to the start: what was edited during a build is built again.
 * - BD3: build.json names the build by a hash of what can run in it, and is missing while one is under way: so each process
 *   can say of which build it is, and the same sources have the same name everywhere.
 * - BD4: tsc runs when TypeScript has changed, come or gone since the stamp; a migration or a page alone is only copied.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Refusal, ROOT, runScript } from './refusal.js';

const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, '.built');
const FACTS = join(DIST, 'build.json');
/** What tsconfig.build.json includes. */
const SOURCE_FOLDERS = [
  ...['apps', 'libs', 'bench', 'dashboards'],
  ...['test/fixtures', 'test/support', 'test/chaos', 'test/operations'],
];
const SOURCE_FILES = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'scripts/build.js'];
/** No sources: what running writes, and a page with packages of its own. */
const OTHER_FOLDERS = ['bench/results', 'bench/profiles', 'dashboards/json', 'dashboards/pictures'].map(
  (folder) => join(ROOT, folder),
);
const NOT_ASSETS = /(\.ts|[\\/]tsconfig[^\\/]*\.json)$/;
const SPEC = /spec\.ts$/;
const COMPILED = /\.(js|js\.map|d\.ts)$/;

/** Whether `dist` is at least as new as every source file and folder (a folder's date shows that files were removed). */
export function isBuilt() {
  // An image has no sources, and is built.
  if (!existsSync(join(ROOT, 'tsconfig.build.json'))) return true;
  if (!existsSync(STAMP) || !existsSync(FACTS)) return false;
  const builtAt = statSync(STAMP).mtimeMs;
  const sources = [
    ...SOURCE_FOLDERS.flatMap((folder) => walk(join(ROOT, folder))),
    ...SOURCE_FILES.map((file) => join(ROOT, file)),
  ];
  return sources.every((path) => statSync(path).mtimeMs <= builtAt || SPEC.test(path));
}

/** BD4 */
function isCompiled() {
  if (!existsSync(STAMP) || !existsSync(FACTS)) return false;
  const builtAt = statSync(STAMP).mtimeMs;
  const compiled = SOURCE_FOLDERS.flatMap((folder) => walk(join(ROOT, folder))).filter(
    (path) => /(?<!\.d)\.ts$/.test(path) && !SPEC.test(path),
  );
  const wanted = new Set(compiled.map((path) => join(DIST, relative(ROOT, path)).replace(/\.ts$/, '.js')));
  const hasLeftovers = SOURCE_FOLDERS.flatMap((folder) => walk(join(DIST, folder))).some(
    (path) => path.endsWith('.js') && !wanted.has(path) && !existsSync(join(ROOT, relative(DIST, path))),
  );
  const isOlder = (path) => statSync(path).mtimeMs <= builtAt;
  return (
    !hasLeftovers &&
    [...compiled, ...SOURCE_FILES.map((file) => join(ROOT, file))].every(isOlder) &&
    [...wanted].every((path) => existsSync(path))
  );
}

/** @throws Refusal when tsc finds errors (it has printed them) */
export function build() {
  const startedAt = new Date();
  const needsCompiler = !isCompiled();
  // tsc believes its own notes about what it has written, so they go when the files may have gone.
  if (!existsSync(STAMP)) rmSync(join(DIST, 'tsconfig.build.tsbuildinfo'), { force: true });
  rmSync(STAMP, { force: true });
  rmSync(FACTS, { force: true });
  if (needsCompiler) compile();
  for (const folder of SOURCE_FOLDERS) copyAssets(join(ROOT, folder));
  for (const folder of SOURCE_FOLDERS) removeOrphans(join(DIST, folder));
  writeFileSync(
    FACTS,
    `${JSON.stringify({ id: fingerprint(['apps', 'libs'].map((name) => join(DIST, name))) })}\n`,
  );
  writeFileSync(STAMP, '');
  utimesSync(STAMP, startedAt, startedAt);
}

function compile() {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], {
    stdio: 'inherit',
    cwd: ROOT,
  });
  if (result.status !== 0) throw new Refusal('The build failed: correct what tsc says above.');
}

function copyAssets(folder) {
  for (const path of walk(folder)) {
    if (NOT_ASSETS.test(path) || statSync(path).isDirectory()) continue;
    const copy = join(DIST, relative(ROOT, path));
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(path, copy, { preserveTimestamps: true });
  }
}

/** BD3: twelve hex digits over the names and contents of all files; maps and declarations do not run. */
export function fingerprint(folders) {
  const hash = createHash('sha256');
  const files = folders
    .flatMap(walk)
    .filter((path) => !/\.(map|d\.ts)$/.test(path) && statSync(path).isFile());
  for (const path of files.sort()) {
    const content = readFileSync(path);
    hash.update(`${relative(DIST, path).replaceAll(sep, '/')}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 12);
}

/** BD1 */
function removeOrphans(folder) {
  for (const path of walk(folder)) {
    const inSources = join(ROOT, relative(DIST, path));
    const origins = COMPILED.test(path) ? [inSources.replace(COMPILED, '.ts'), inSources] : [inSources];
    if (!origins.some((origin) => existsSync(origin))) rmSync(path, { recursive: true, force: true });
  }
}

/** Every file and folder below that is a source, the folder itself first; nothing when it is missing. */
function walk(folder) {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = [folder, ...below.map((entry) => join(entry.parentPath ?? entry.path, entry.name))];
  return paths.filter((path) => !OTHER_FOLDERS.some((other) => `${path}${sep}`.startsWith(other + sep)));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runScript(build);
