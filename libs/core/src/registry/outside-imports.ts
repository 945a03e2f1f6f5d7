/**
 * Lets datasets outside of this installation import what docs/add-a-dataset.md says they may: `#core/…`, and the
 * libraries that Sluice brings. Node resolves both from the importing file's own package, which an outside folder is not
 * part of. What such a folder can resolve by itself it gets from there.
 *
 * Node runs this file twice: in the process, for `letImport`, and as a module hook on a thread of its own.
 */
import { realpathSync } from 'node:fs';
import { register } from 'node:module';
import { dirname, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

interface HookData {
  /** Folders of outside datasets, as URLs that end with a slash. */
  readonly roots: readonly string[];
  /** A module of this installation, from which is resolved what an outside folder cannot. */
  readonly own: string;
}

interface ResolveContext {
  readonly parentURL?: string;
}

interface Resolved {
  readonly url: string;
  readonly format?: string | null;
}

type Resolve = (specifier: string, context: ResolveContext) => Promise<Resolved>;

const known = new Set<string>();

/** @param roots folders of dataset folders that exist; those inside of this installation need nothing */
export function letImport(roots: readonly string[]): void {
  const installation = packageFolder(dirname(fileURLToPath(import.meta.url)));
  const outside = roots
    .map((root) => realpathSync(root))
    .filter((root) => !`${root}${sep}`.startsWith(`${installation}${sep}`) && !known.has(root));
  if (outside.length === 0) return;
  for (const root of outside) known.add(root);
  const data: HookData = {
    roots: outside.map((root) => `${pathToFileURL(root).href}/`),
    own: import.meta.url,
  };
  register(import.meta.url, { data });
}

/** The folder of this installation's package.json: the sources' root, or that of the build in it. */
function packageFolder(from: string): string {
  const [before = from] = from.split(`${sep}libs${sep}core${sep}src${sep}`);
  return before.endsWith(`${sep}dist`) ? dirname(before) : before;
}

let hook: HookData = { roots: [], own: '' };

export function initialize(data: HookData): void {
  hook = data;
}

export async function resolve(specifier: string, context: ResolveContext, next: Resolve): Promise<Resolved> {
  const isOutside = hook.roots.some((root) => context.parentURL?.startsWith(root) === true);
  const resolved = isOutside
    ? await resolveOutside(specifier, context, next)
    : await next(specifier, context);
  // A folder without a package.json says nothing of its modules, and a dataset is an ES module.
  const isUntold = (resolved.format ?? null) === null && resolved.url.endsWith('.js');
  return isUntold && hook.roots.some((root) => resolved.url.startsWith(root))
    ? { ...resolved, format: 'module' }
    : resolved;
}

async function resolveOutside(specifier: string, context: ResolveContext, next: Resolve): Promise<Resolved> {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (/^[./]|^[a-z]+:/i.test(specifier)) throw error;
    return next(specifier, { ...context, parentURL: hook.own });
  }
}
