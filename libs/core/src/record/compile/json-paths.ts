/**
 * Picks values out of a JSON text by their paths, as ranges of its bytes. PURE.
 *
 * Only for texts that `JSON.parse` has accepted: this walks, it does not check. Ranges instead of parsed
 * values keep what parsing loses: the digits of large numbers and decimals, and the text of a document.
 * A name that stands twice in an object, where a path leads to it, is reported: `JSON.parse` would take the last value and lose
 * the others without a word.
 */
import type { UnknownMembers } from './unknown-members.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const LETTER_N = 0x6e;
const DOT = 0x2e;
const NOTHING = Buffer.alloc(0);

interface PathNode {
  readonly name: Buffer;
  /** From the root, dotted. */
  readonly path: string;
  readonly members: PathNode[];
  /** Something else than an object or null stands where its members are expected. */
  isWrong: boolean;
  /** In the object that is walked. */
  isSeen: boolean;
  /** Which range the value at this place goes to, or -1. */
  range: number;
}

export class JsonPaths {
  /** Value i is [starts[i], ends[i]) of the text; `ends[i]` is -1 where nothing stands at its path. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  private readonly root: PathNode = {
    name: NOTHING,
    path: '',
    members: [],
    range: -1,
    isWrong: false,
    isSeen: false,
  };
  private readonly nodes: PathNode[] = [];
  private hasWrong = false;
  private flattened: string | null = null;
  private repeated: string | null = null;
  private bytes: Buffer = NOTHING;

  /**
   * @param paths distinct; dotted names, `''` for the whole text. A name cannot hold a dot.
   * @param unknown called for members that no path leads to, in objects that are read by their members alone
   * @param prefix stands before their names: of elements, the array
   */
  constructor(
    readonly paths: readonly string[],
    private readonly unknown: UnknownMembers | null = null,
    private readonly prefix = '',
  ) {
    this.starts = new Int32Array(paths.length);
    this.ends = new Int32Array(paths.length);
    paths.forEach((path, range) => {
      let node = this.root;
      for (const name of path === '' ? [] : path.split('.')) node = memberOf(node, name, this.nodes);
      node.range = range;
    });
  }

  /** Nothing stands at any path. */
  clear(): void {
    this.ends.fill(-1);
  }

  /** Lets go of the text: what it is a part of, a fetch of some MiB, stays in memory with it. */
  release(): void {
    this.bytes = NOTHING;
  }

  /** Looks up all paths in the JSON text that begins at or after `start`. */
  find(bytes: Buffer, start: number): void {
    this.bytes = bytes;
    this.ends.fill(-1);
    this.flattened = null;
    this.repeated = null;
    if (this.hasWrong) for (const node of this.nodes) node.isWrong = false;
    this.hasWrong = false;
    this.assign(this.root, skipBlanks(bytes, start));
  }

  private assign(node: PathNode, start: number): number {
    const end = skipValue(this.bytes, start);
    if (node.range !== -1) {
      this.starts[node.range] = start;
      this.ends[node.range] = end;
    }
    if (node.members.length > 0) {
      if (this.bytes[start] === OPEN_OBJECT) this.walkObject(node, start);
      else if (this.bytes[start] !== LETTER_N) this.hasWrong = node.isWrong = true;
    }
    return end;
  }

  /** The path at which the text last searched holds a value of another shape than an object, or null. */
  get wrongShape(): string | null {
    return this.hasWrong ? (this.nodes.find(({ isWrong }) => isWrong)?.path ?? null) : null;
  }

  /** A member whose name is a path, dots and all: what stands at the path is not found there. Or null. */
  get flattenedPath(): string | null {
    return this.flattened;
  }

  /** A path at which two members of one object stand, or null. */
  get repeatedPath(): string | null {
    return this.repeated;
  }

  private noteUnknown(node: PathNode, start: number, end: number): void {
    const { bytes } = this;
    if (bytes.subarray(start, end).includes(DOT)) {
      const name = node.path === '' ? nameOf(bytes, start, end) : `${node.path}.${nameOf(bytes, start, end)}`;
      if (this.nodes.some(({ path }) => path === name)) this.flattened ??= name;
    }
    if (node.range !== -1) return;
    const parent = node.path === '' ? this.prefix : `${this.prefix}${node.path}.`;
    this.unknown?.note(parent, bytes, start + 1, end - 1);
  }

  private walkObject(node: PathNode, start: number): void {
    const { bytes } = this;
    for (const member of node.members) member.isSeen = false;
    let at = skipBlanks(bytes, start + 1);
    while (bytes[at] !== CLOSE_OBJECT) {
      const nameStart = at;
      const nameEnd = skipValue(bytes, at);
      const member = this.memberNamed(node, at, nameEnd);
      at = skipBlanks(bytes, skipBlanks(bytes, nameEnd) + 1); // over the colon
      if (member === undefined) {
        this.noteUnknown(node, nameStart, nameEnd);
        at = skipValue(bytes, at);
      } else {
        if (member.isSeen) this.repeated ??= member.path;
        member.isSeen = true;
        at = this.assign(member, at);
      }
      at = skipBlanks(bytes, at);
      if (bytes[at] === COMMA) at = skipBlanks(bytes, at + 1);
    }
  }

  private memberNamed(node: PathNode, start: number, end: number): PathNode | undefined {
    const { bytes } = this;
    for (const member of node.members) {
      const { name } = member;
      if (end - start - 2 === name.length && name.compare(bytes, start + 1, end - 1) === 0) return member;
    }
    if (!hasEscape(bytes, start, end)) return undefined;
    const name = Buffer.from(JSON.parse(bytes.toString('utf8', start, end)) as string);
    return node.members.find((member) => member.name.equals(name));
  }
}

/** Where the elements of the array that begins at `start` begin, each followed by its end. */
export function elementsOf(bytes: Buffer, start: number): number[] {
  const bounds: number[] = [];
  let at = skipBlanks(bytes, start + 1);
  while (bytes[at] !== CLOSE_ARRAY) {
    const end = skipValue(bytes, at);
    bounds.push(at, end);
    at = skipBlanks(bytes, end);
    if (bytes[at] === COMMA) at = skipBlanks(bytes, at + 1);
  }
  return bounds;
}

/** Whether the JSON string [start, end) holds an escape. (`indexOf` would look on to the end of the batch.) */
export function hasEscape(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === BACKSLASH) return true;
  }
  return false;
}

export function skipBlanks(bytes: Buffer, start: number): number {
  let at = start;
  while (isBlank(bytes[at])) at += 1;
  return at;
}

/** @param start where a value begins @returns where it ends; without recursion, at any depth */
function skipValue(bytes: Buffer, start: number): number {
  const first = bytes[start];
  if (first === QUOTE) return skipString(bytes, start);
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
    let at = start;
    while (at < bytes.length && !endsScalar(bytes[at])) at += 1;
    return at;
  }
  let depth = 0;
  let at = start;
  do {
    const byte = bytes[at];
    if (byte === QUOTE) at = skipString(bytes, at) - 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}

function skipString(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

function endsScalar(byte: number | undefined): boolean {
  return byte === COMMA || byte === COLON || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY || isBlank(byte);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

function nameOf(bytes: Buffer, start: number, end: number): string {
  return JSON.parse(bytes.toString('utf8', start, end)) as string;
}

function memberOf(node: PathNode, name: string, all: PathNode[]): PathNode {
  const bytes = Buffer.from(name);
  const known = node.members.find((member) => member.name.equals(bytes));
  if (known !== undefined) return known;
  const path = node.path === '' ? name : `${node.path}.${name}`;
  const fresh: PathNode = { name: bytes, path, members: [], range: -1, isWrong: false, isSeen: false };
  node.members.push(fresh);
  all.push(fresh);
  return fresh;
}
