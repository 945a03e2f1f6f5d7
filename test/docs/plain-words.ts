import { proseOfSource } from '../structure/source-prose.js';

/** A word that no text has for users or for who reads the code, and what to write instead: a rule of CONTRIBUTING.md. */
export interface AvoidedWord {
  readonly word: string;
  readonly pattern: RegExp;
  readonly instead: string;
}

export const AVOIDED_WORDS: readonly AvoidedWord[] = [
  avoid('go on', /\b(go|goes|going|gone|went) on\b/, '"continue", "resume" or "proceed"'),
  avoid('nobody', /\bnobody\b/, '"no one", or name who does not'),
  avoid('somebody', /\bsomebody\b/, 'name the actor: "an operator", "a user"'),
  avoid('whoever', /\bwhoever\b/, 'name the actor: "the process that …"'),
  avoid('everybody', /\b(everybody|anybody)\b/, '"every user", "any client", or the actor\'s name'),
  avoid('anew', /\banew\b/, '"again" or "from scratch"'),
  avoid('so many', /\bso many\b/, '"N", or name the limit'),
  avoid('tell', /\b(tell|tells|told|telling)\b/, '"report", "say", "distinguish" or "override"'),
  avoid('mend', /\bmend(s|ed|ing)?\b/, '"fix"'),
  avoid('of your own', /\bof (your|our|one's) own\b/, '"your own …" before the noun'),
  avoid(
    'the way of a …',
    /\b(the whole way|way of (a|the|its) (batch|delivery|job|message|record))\b/,
    '"the path"',
  ),
  avoid(
    'letter',
    /(?<!\bdead(?:-| ))(?<!\b(?:ASCII|capital|full-width|small) )\bletters?\b/,
    '"dead letter", or "refused record"',
  ),
  avoid('the head of a file', /\bhead of (a|an|the|its) ([a-z]+ )?(extract|file|source)\b/, '"the header"'),
  avoid('pass over', /\b(passes|passed|passing) over\b/, '"skip"'),
  avoid(
    'give back',
    /\b(give|gives|given|gave|giving) (back\b|(it|them|the [a-z]+) back\b)/,
    '"release" or "return"',
  ),
  avoid('not one', /\bnot one\b/, '"no …"'),
  avoid('clear away', /\b(clear|clears|cleared|clearing) away\b/, '"clean up"'),
];

function avoid(word: string, pattern: RegExp, instead: string): AvoidedWord {
  // Lines break anywhere in a sentence.
  const anySpace = pattern.source.replaceAll(' ', String.raw`\s+`);
  return { word, pattern: new RegExp(anySpace, 'gi'), instead };
}

/** @returns one sentence for each avoided word: place, word, what to write instead */
export function avoidedWordsIn(place: string, text: string, firstLine = 1): string[] {
  return AVOIDED_WORDS.flatMap(({ word, pattern, instead }) =>
    [...text.matchAll(pattern)].map(({ 0: found, index }) => {
      const line = firstLine + text.slice(0, index).split('\n').length - 1;
      return `${place}:${line}: "${found.replace(/\s+/, ' ')}" (${word}): write ${instead}`;
    }),
  );
}

/** @returns one sentence for each avoided word in a comment, a message or a test's title; names of code are none */
export function avoidedWordsOfSource(file: string, source: string): string[] {
  return proseOfSource(file, source).flatMap(({ text, line }) =>
    avoidedWordsIn(
      file,
      text.replace(/`[^`]+`|\{@link [^}]+\}|@param \w+/g, (code) => code.replace(/[^\n]/g, '·')),
      line,
    ),
  );
}

/**
 * The prose of a page, line by line where it was: fenced blocks, code spans, link targets and the titles of tests,
 * which are names, are blank.
 */
export function proseOf(markdown: string): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, '·');
  return markdown
    .replace(/^([ \t]*)```[^]*?^\1```/gm, blank)
    .replace(/`[^`]+`/g, blank)
    .replace(/\]\([^)\s]+\)/g, blank)
    .replace(/^- \[.*: “[^”]+”$/gm, blank);
}
