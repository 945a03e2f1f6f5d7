import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobSource } from '#core/job/job.entity.js';
import type { Caller } from './caller.js';
import { displayOfUrl } from './display.js';
import type { SourceAddress, SourceKind } from './source-kind.js';

/**
 * Every kind of source, read from disk at start: the folders beside this file that have a `kind.ts`. No list names
 * them, so that a new kind is one new folder.
 *
 * - SK1: a kind has its folder's name.
 * - SK2: no two kinds read the same scheme, and at most one is local, so an address belongs to one kind.
 *
 * A kind must not import this file or `source-kinds.ts`: they wait for it.
 */
export class SourceKindRegistry {
  readonly #kinds: readonly SourceKind[];
  readonly #byScheme: ReadonlyMap<string, SourceKind>;
  readonly #local: SourceKind | undefined;

  /** @throws SluiceError INTERNAL for kinds that break SK2 */
  constructor(kinds: readonly SourceKind[]) {
    const [local, second] = kinds.filter(({ isLocal }) => isLocal);
    if (second) throw invalid(second.name, `is local, and so is ${String(local?.name)}`);
    this.#local = local;
    // The local kind last: sentences that list schemes end with "or an absolute path".
    const remote = kinds.filter(({ isLocal }) => !isLocal).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#kinds = local ? [...remote, local] : remote;
    this.#byScheme = schemesOf(this.#kinds);
  }

  /** In the order in which sentences list them. */
  all(): readonly SourceKind[] {
    return this.#kinds;
  }

  /** Schemes of all kinds, in lower case, without the colon. */
  schemes(): readonly string[] {
    return [...this.#byScheme.keys()];
  }

  /** What an address begins with, in lower case: texts of a-z, digits, `-`, `:` and `/`. */
  beginnings(): readonly string[] {
    return [...this.schemes().map((scheme) => `${scheme}://`), ...(this.#local ? ['/'] : [])];
  }

  /** The settings classes of all kinds. */
  settings(): readonly (new () => object)[] {
    return this.#kinds.flatMap(({ settings }) => settings);
  }

  /** What every address is, as sentences say it: "a URL (http, https, file) or an absolute path". */
  addressNoun(): string {
    return `${this.#urls()}${this.#local ? ' or an absolute path' : ''}`;
  }

  /** How addresses are written, for people. */
  forms(): string {
    return this.#kinds.map(({ form }) => form).join(', ');
  }

  /**
   * Finds the kind of an address and has the kind understand it.
   * @throws SluiceError SOURCE_UNSUPPORTED, for an address that no kind reads as well
   */
  parse(text: string): ParsedSource {
    if (this.#local && isAbsolute(text)) return { kind: this.#local, address: this.#local.parse(text) };
    const url = URL.canParse(text) ? new URL(text) : null;
    const kind = url === null ? undefined : this.#byScheme.get(url.protocol.slice(0, -1));
    if (url === null || (url.host === '' && kind?.isLocal !== true))
      throw unsupported(`The source is ${this.#neither()}.`);
    if (kind) return { kind, address: kind.parse(text) };
    const known = inWords(this.schemes());
    throw unsupported(`${displayOfUrl(url)} has a scheme that is not supported; ${known} are.`);
  }

  /** A source as the job row keeps it. @throws SluiceError SOURCE_UNSUPPORTED */
  describe(text: string, caller: Caller): JobSource {
    const { kind, address } = this.parse(text);
    return { kind: kind.name, display: address.display, own: kind.ask(address, caller) };
  }

  #neither(): string {
    return this.#local ? `neither ${this.#urls()} nor an absolute path` : `not ${this.#urls()}`;
  }

  #urls(): string {
    return `a URL (${this.schemes().join(', ')})`;
  }
}

/** An address, understood, and the kind that opens it. */
export interface ParsedSource {
  readonly kind: SourceKind;
  readonly address: SourceAddress;
}

/** The folder of this file, in the sources as in the build. */
const OWN_FOLDER = fileURLToPath(new URL('.', import.meta.url));

/**
 * Imports every kind.
 * @param root the folder of the kinds' folders
 * @throws SluiceError INTERNAL naming the kind that breaks SK1 or SK2
 */
export async function loadSourceKinds(root = OWN_FOLDER): Promise<SourceKindRegistry> {
  const folders = (await readdir(root, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(root, name));
  const kinds: SourceKind[] = [];
  // One after the other: Jest does not import a library twice at the same time.
  for (const folder of folders) {
    const kind = await importKind(folder);
    if (kind !== null) kinds.push(kind);
  }
  return new SourceKindRegistry(kinds);
}

/** @returns null for a folder that is no kind's */
async function importKind(folder: string): Promise<SourceKind | null> {
  const file = ['kind.js', 'kind.ts'].map((name) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined) return null;
  const loaded = (await import(pathToFileURL(file).href)) as { default?: SourceKind };
  const name = basename(folder);
  if (loaded.default === undefined) throw invalid(name, 'has no default export');
  if (loaded.default.name !== name) throw invalid(name, `is named ${loaded.default.name}, not as its folder`);
  return loaded.default;
}

function schemesOf(kinds: readonly SourceKind[]): Map<string, SourceKind> {
  const byScheme = new Map<string, SourceKind>();
  for (const kind of kinds) {
    for (const scheme of kind.schemes) {
      const owner = byScheme.get(scheme);
      if (owner) throw invalid(kind.name, `reads ${scheme}:, and so does ${owner.name}`);
      // What the patterns of the API take as it is.
      if (!/^[a-z][a-z0-9-]*$/.test(scheme)) throw invalid(kind.name, `has the wrong scheme "${scheme}"`);
      byScheme.set(scheme, kind);
    }
  }
  return byScheme;
}

function inWords(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' and ');
}

function invalid(kind: string, problem: string): SluiceError {
  return new SluiceError('INTERNAL', `The kind of source "${kind}" ${problem}.`);
}

function unsupported(message: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', message);
}
