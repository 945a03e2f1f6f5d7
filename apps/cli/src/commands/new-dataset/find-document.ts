/** Whether a sample is a single JSON document where it should hold one object a line. PURE. */
import { MAX_HEAD_BYTES } from '#core/dataset/dataset.js';
import { jqCommand, readFirstValue } from '#core/record/head/json-head.js';

/** Members beside the list of records in what services answer. Compared in lower case, without underscores and hyphens. */
const ENVELOPE_MEMBERS = new Set([
  ...[
    'status',
    'statuscode',
    'code',
    'success',
    'ok',
    'message',
    'error',
    'errors',
    'result',
    'version',
    'type',
  ],
  ...['count', 'total', 'totalcount', 'totalresults', 'totalpages', 'totalelements', 'size', 'length'],
  ...['page', 'pages', 'pagesize', 'perpage', 'pageinfo', 'pagination', 'paging', 'limit', 'offset', 'skip'],
  ...[
    'next',
    'previous',
    'prev',
    'first',
    'last',
    'cursor',
    'nextcursor',
    'nextpage',
    'nextpagetoken',
    'hasmore',
  ],
  ...['meta', 'metadata', 'links', 'info', 'timestamp', 'generatedat', 'requestid', 'took', 'odata.context'],
]);

/**
 * @param text from the sample's first byte on
 * @param isWhole the text is the whole file
 * @returns what the document is, and what to do; null for lines of objects, and for what is no JSON
 */
export function findJsonDocument(text: string, isWhole: boolean): string | null {
  const begin = text.trimStart().charAt(0);
  if (begin !== '{' && begin !== '[') return null;
  const document = isWhole ? parsed(text) : undefined;
  if (begin === '[') {
    const isArray = Array.isArray(document) || /^\s*\[\s*(\{|\]|$)/.test(text.slice(0, MAX_HEAD_BYTES));
    return isArray ? `It is one JSON array: write its objects, one a line${jqCommand('.[]')}.` : null;
  }
  const head = Buffer.from(text.slice(0, MAX_HEAD_BYTES));
  const first = readFirstValue(head, head.indexOf('{'));
  if (first === null) return null;
  const isAlone = document !== undefined || (first.end === -1 && !isWhole);
  const [list] = first.lists;
  const others = first.names.filter((name) => name !== list);
  const isEnvelope = others.every((name) => ENVELOPE_MEMBERS.has(name.toLowerCase().replace(/[@_-]/g, '')));
  if (isAlone && list !== undefined && isEnvelope) {
    return (
      `It is one JSON object around the records, which stand in its array ${JSON.stringify(list.slice(0, 40))}: ` +
      `write the objects of that array, one a line${jqCommand(`.${list}[]`)}.`
    );
  }
  return first.isOverLines
    ? `It is JSON that is spread over several lines: write each object on one line${jqCommand('.')}.`
    : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
