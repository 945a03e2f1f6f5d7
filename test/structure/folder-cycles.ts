import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';

/**
 * Which folders import each other, found in the import statements, types included: a type that two rooms ask of each
 * other ties them together as much as a value does.
 */

/** Source files by path (`libs/core/src/job/job-state.ts`), with their text. */
export type SourceFiles = ReadonlyMap<string, string>;

const SPEC = /spec\.ts$/;
const IMPORT = /^(?:import|export)\b[^;'"]*?\bfrom '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

/** Every source file of `apps` and `libs`; what only tests import may reach into any room. */
export function productFiles(root: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const group of ['apps', 'libs']) {
    for (const name of readdirSync(join(root, group), { recursive: true, encoding: 'utf8' })) {
      const path = join(root, group, name);
      const isSource = /[\\/]src[\\/].*\.ts$/.test(path) && !SPEC.test(path) && !isForTests(path);
      if (isSource && statSync(path).isFile()) {
        files.set(relative(root, path).replaceAll(sep, '/'), readFileSync(path, 'utf8'));
      }
    }
  }
  return files;
}

function isForTests(path: string): boolean {
  return /[\\/]testing[\\/]/.test(path);
}

/**
 * The folders right below a `src`, one circle a line: `apps/tracker/src/fold → live → read-api → fold`, each arrow with
 * the import that makes it. A file that stands in `src` itself is a room of its own: main.ts and the module import every
 * room, and no room may import them.
 */
export function cyclesOfFolders(files: SourceFiles): string[] {
  const arrows = new Map<string, Map<string, string>>();
  for (const [file, text] of files) {
    const from = roomOf(file);
    for (const [, named, bare, dynamic] of text.matchAll(IMPORT)) {
      const target = targetOf(file, named ?? bare ?? dynamic ?? '');
      if (target === null || !files.has(target)) continue;
      const to = roomOf(target);
      if (from === to) continue;
      const known = arrows.get(from) ?? new Map<string, string>();
      if (!known.has(to)) known.set(to, `${file} imports ${target}`);
      arrows.set(from, known);
    }
  }
  return circlesOf(arrows);
}

function roomOf(file: string): string {
  const [group = '', name = '', src = '', room = ''] = file.split('/');
  return [group, name, src, room].join('/');
}

function targetOf(file: string, specifier: string): string | null {
  const asSource = specifier.replace(/\.js$/, '.ts');
  const alias = /^#(\w+)\/(.*)$/.exec(asSource);
  if (alias) return `libs/${alias[1] ?? ''}/src/${alias[2] ?? ''}`;
  return asSource.startsWith('.') ? normalize(join(dirname(file), asSource)).replaceAll(sep, '/') : null;
}

/** For each arrow that can be walked back, the shortest way round; each circle once. */
function circlesOf(arrows: ReadonlyMap<string, ReadonlyMap<string, string>>): string[] {
  const circles = new Map<string, string>();
  for (const [from, targets] of arrows) {
    for (const to of targets.keys()) {
      const back = shortestWay(arrows, to, from);
      if (back === null) continue;
      const rooms = [from, ...back];
      const id = [...new Set(rooms)].sort().join(' ');
      const imports = back.map((room, index) => arrows.get(rooms[index] ?? '')?.get(room) ?? '');
      if (!circles.has(id)) circles.set(id, `${rooms.join(' → ')} (${imports.join('; ')})`);
    }
  }
  return [...circles.values()].sort();
}

function shortestWay(
  arrows: ReadonlyMap<string, ReadonlyMap<string, string>>,
  from: string,
  to: string,
): string[] | null {
  let ways = [[from]];
  const seen = new Set([from]);
  while (ways.length > 0) {
    const found = ways.find((way) => way.at(-1) === to);
    if (found) return found;
    ways = ways.flatMap((way) =>
      [...(arrows.get(way.at(-1) ?? '')?.keys() ?? [])]
        .filter((room) => !seen.has(room) && seen.add(room))
        .map((room) => [...way, room]),
    );
  }
  return null;
}
