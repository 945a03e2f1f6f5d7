/**
 * Filter patterns of CloudWatch Logs over JSON lines, as far as deploy/aws uses them: comparisons of a field with a text or a
 * number, `&&`, `||` and parentheses. AWS documents the syntax as "filter pattern syntax for metric filters"; what is not known
 * here is refused, so that no pattern seems to match by luck.
 */

type Line = Readonly<Record<string, unknown>>;
type Test = (line: Line) => boolean;

const TOKEN = /\s*(\{|\}|\(|\)|&&|\|\||\$(?:\.\w+)+|>=|<=|!=|=|>|<|"[^"\\]*"|-?\d+(?:\.\d+)?)/y;
const COMPARISONS: Readonly<Record<string, (field: number, value: number) => boolean>> = {
  '=': (field, value) => field === value,
  '!=': (field, value) => field !== value,
  '>': (field, value) => field > value,
  '>=': (field, value) => field >= value,
  '<': (field, value) => field < value,
  '<=': (field, value) => field <= value,
};

/** @returns whether a line matches. @throws Error for what is no pattern, or uses more of the syntax */
export function filterPattern(text: string): Test {
  const tokens = tokensOf(text);
  const next = (): string => tokens.shift() ?? 'the end';
  const expect = (token: string): void => {
    const found = next();
    if (found !== token) throw new Error(`${text}: ${found} instead of ${token}`);
  };
  const term = (): Test => {
    const first = next();
    if (first === '(') {
      const inner = either();
      expect(')');
      return inner;
    }
    if (!first.startsWith('$')) throw new Error(`${text}: ${first} instead of a field`);
    return comparison(text, first, next(), next());
  };
  const both = (): Test => joined('&&', term, (a, b) => (line) => a(line) && b(line));
  const either = (): Test => joined('||', both, (a, b) => (line) => a(line) || b(line));
  const joined = (operator: string, part: () => Test, join: (a: Test, b: Test) => Test): Test => {
    let test = part();
    while (tokens[0] === operator) {
      next();
      test = join(test, part());
    }
    return test;
  };
  expect('{');
  const test = either();
  expect('}');
  if (tokens.length > 0) throw new Error(`${text}: ${next()} after its end`);
  return test;
}

/** The value of `$.a.b`. */
export function fieldOf(line: Line, selector: string): unknown {
  return selector
    .split('.')
    .slice(1)
    .reduce<unknown>((value, name) => (value as Line | undefined)?.[name], line);
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== '') {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) throw new Error(`${text}: unknown from ${text.slice(at)} on`);
    tokens.push(token);
  }
  return tokens;
}

/** Texts are compared whole and with their case, numbers only with numbers; a field that is not there matches nothing. */
function comparison(text: string, selector: string, operator: string, value: string): Test {
  const compare = COMPARISONS[operator];
  if (compare === undefined) throw new Error(`${text}: ${operator} is no comparison`);
  if (value.startsWith('"')) {
    const wanted = value.slice(1, -1);
    if (!/^!?=$/.test(operator)) throw new Error(`${text}: texts are only equal or not`);
    return (line) => {
      const field = fieldOf(line, selector);
      return typeof field === 'string' && (field === wanted) === (operator === '=');
    };
  }
  const number = Number(value);
  if (Number.isNaN(number)) throw new Error(`${text}: ${value} is neither a text nor a number`);
  return (line) => {
    const field = fieldOf(line, selector);
    return typeof field === 'number' && compare(field, number);
  };
}
