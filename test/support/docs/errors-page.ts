import { ERROR_CODES } from '#common/errors/error-codes.js';
import { type BrokerFaultKind, KAFKA_ERRORS } from '#common/kafka/client/kafka-errors.js';
import { type FaultKind, SQLSTATES } from '#common/postgres/sqlstate.js';
import { type FileFindingCode } from '#core/dataset/file-head.js';
import { DEFAULT_CODE } from '#core/dataset/rules.js';
import { type GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { markdownTable } from '#common/text/markdown-table.js';

/** docs/errors.md, from the lists in the code. The types below make a missing or surplus code an error of tsc. */
export function errorsPage(): string {
  return [INTRODUCTION, errorCodes(), findingCodes(), sqlstates(), kafkaErrors()].join('\n');
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from the code. Change the code, not this page. -->

# Errors

An **error code** says why a command, a request, a job or a service stopped. Each code has one meaning, and states whether
the error can pass by itself. The code appears in the CLI's output, in the HTTP API's problem details (\`code\`), in the
job row (\`error.code\`) and in the logs.

A **finding code** says what is wrong with one record, or with the header of a file. An \`error\` refuses it, a \`warning\`
does not.

Error texts never contain credentials or the contents of a record.
`;

function errorCodes(): string {
  const sections = Object.entries(ERROR_CODES).map(
    ([code, { meaning, retryable, action }]) =>
      `### ${code}\n\n${meaning}\n\n` +
      `- Passes by itself: ${retryable ? 'it can; what waits for it is retried' : 'no'}\n- What to do: ${action}\n`,
  );
  return `## Error codes\n\n${sections.join('\n')}`;
}

const MEANING_OF_GENERAL: Readonly<Record<keyof typeof GENERAL_FINDING_CODES, string>> = {
  MALFORMED_ROW:
    'Wrong number of fields, broken quoting, another line end than the file’s, no JSON object, a wrong shape on a path, two values of one name, or bytes that are not in the (declared) encoding.',
  RECORD_TOO_LARGE: 'Longer than SLUICE_RECORD_BYTES. Its place and its first bytes are kept.',
  FIELD_TOO_LONG: 'A field has more characters than its column takes.',
  NUL_REMOVED: 'A warning: NUL characters were removed, because PostgreSQL cannot hold them.',
  STRAY_QUOTE:
    'A warning: an unquoted CSV field contains a quote. The field is stored unchanged. (A blank before an opening quote refuses the record.)',
  UNKNOWN_MEMBER:
    'A JSON record has members that the contract does not read. Counted once per record, as a warning; `unknownMembers` of the dataset can make each of them a finding.',
  DELETE_REFUSED:
    'The record is a delete, by its marker or as a message without a value, and the job’s mode is not `upsert`.',
  DUPLICATE: 'Another record of the same job has the same key, and the dataset keeps that one.',
  REFUSED_BY_DATABASE: 'PostgreSQL itself refused the row. The dead letter carries its SQLSTATE.',
  BYTES_EXPIRED:
    'A warning beside another finding: the raw batch of a record that was refused at load had expired when its dead letter was written. The dead letter has no bytes, and the place of its batch.',
  TOMBSTONE: 'A message of an inbox has no value, and the dataset deletes nothing.',
  NOT_ONE_RECORD:
    'A message of an inbox is empty, holds more than one record, or a part of one (a quote that does not close). Each message is one record.',
  WRONG_CONTENT_TYPE:
    'The header `content-type` of a message names another format than the dataset has, or another encoding than UTF-8.',
  BAD_MESSAGE_HEADER:
    'The header `columns` or `context` of a message cannot be read, or does not fit the contract: `columns` lists the columns that it reads, each once, as JSON or between commas; `context` is a JSON object of texts, of 1 KiB at most.',
  MESSAGE_UNDECODABLE:
    'Messages of an inbox stand in a batch that cannot be decoded: damaged, or compressed in a way that is not known or beyond 16 MiB. They are one dead letter without bytes; its `message` says which offsets, and why.',
};

const MEANING_OF_FILE: Readonly<Record<FileFindingCode, string>> = {
  FILE_EMPTY: 'The file is empty, or holds only blanks.',
  FILE_WITHOUT_RECORDS: 'There is a header, but no record after it.',
  FILE_IS_HTML: 'The file is an HTML or XML page instead of data, often an error or login page.',
  FILE_IS_BINARY: 'The file is a workbook, an archive, a PDF, an image or other binary data.',
  FILE_NOT_UTF8: 'The file is UTF-16, Big5 or in another encoding.',
  ENCODING_WRONG: 'The header holds bytes that are not of the encoding that the dataset declares.',
  HEADER_UNREADABLE: 'The header has a quote that does not close, is too long, or is not there.',
  SEPARATOR_WRONG: 'The header is written with another delimiter than the dataset declares.',
  LINE_ENDS_MIXED:
    'A line of the header ends with CR alone where other lines end with LF (or the other way round): a record could be hidden in it.',
  HEAD_UNACCOUNTED:
    'The header that the dataset’s prologue returns does not match the lines that it counts. A fault of the dataset.',
  CONTEXT_TOO_LARGE:
    'The facts that the dataset’s prologue reads from the header for the rows have more than 1 KiB as JSON.',
  COLUMN_MISSING: 'The header lacks a column that the contract reads.',
  COLUMN_REPEATED: 'A column that the contract reads occurs twice in the header.',
  FILE_NOT_NDJSON: 'The file does not begin with a JSON object.',
  FILE_IS_JSON_ARRAY: 'The file is one JSON array instead of one object per line.',
  FILE_IS_ENVELOPE: 'The file is one JSON object around the records, as in API responses (`{"data": […]}`).',
  FILE_IS_ERROR_BODY: 'The file is the error message of a service.',
  FILE_IS_PRETTY_PRINTED: 'A JSON object is spread over several lines.',
  FILE_IS_OTHER_JSON: 'The file is one JSON object without any member that the contract reads.',
};

function findingCodes(): string {
  const codes = (meanings: Readonly<Record<string, string>>): string =>
    markdownTable(
      ['code', 'meaning'],
      Object.entries(meanings).map(([code, meaning]) => [`\`${code}\``, meaning]),
    );
  return `## Finding codes

Each dataset has its own codes; its README lists them, for example
[tax-registration](../libs/datasets/src/tax-registration/README.md). A rule without a code gives \`${DEFAULT_CODE}\`, or
\`MISSING_VALUE\` where a value is required.

Any dataset's records can get these:

${codes(MEANING_OF_GENERAL)}
With one of these the whole file is refused. The job fails with [SOURCE_REFUSED](#source_refused) and names them:

${codes(MEANING_OF_FILE)}`;
}

const CONSEQUENCE_OF_KIND: Readonly<Record<FaultKind, string>> = {
  record:
    'The record is at fault. If PostgreSQL names the record, and its batch loads without it, it becomes a dead letter with the SQLSTATE; the other records are loaded.',
  retry: 'The transaction is retried at once.',
  wait: 'The database is at fault. The partition, or the finalization, pauses and retries until the fault passes; the job shows it as its wait. No record is refused for it.',
  schema:
    'Tables and contract do not match, or a permission is missing. The job is paused with reason `schema` ([JOB_SCHEMA](#job_schema)) and an error is logged; `sluice continue` continues it.',
  unknown:
    'Every other SQLSTATE, and every other error: a few more attempts, then the job is paused with reason `fault` and shows PostgreSQL’s message ([JOB_FAULT](#job_fault)). No record is refused for it, and no other job waits.',
};

const CONSEQUENCE_OF_BROKER_KIND: Readonly<Record<BrokerFaultKind, string>> = {
  wait: 'The brokers are at fault. Work pauses and is retried until the fault passes.',
  setup:
    'Work is retried too, and an error is logged: an operator must fix the topic, the permission or the setting.',
  message:
    'The message is at fault. The ingestor fails its job, which can be resumed; other stages retry and log an error.',
  unknown: 'Every other error: as for `setup`.',
};

function kafkaErrors(): string {
  const sections = Object.entries(CONSEQUENCE_OF_BROKER_KIND).map(([kind, consequence]) => {
    const rows = [...KAFKA_ERRORS]
      .filter(([, facts]) => facts.kind === kind)
      .map(([name, { meaning }]) => [`\`${name}\``, meaning]);
    return `### Kafka: ${kind}\n\n${consequence}\n\n${rows.length === 0 ? '' : markdownTable(['error', 'meaning'], rows)}`;
  });
  return `## What an error of Kafka leads to

Listed by the protocol's name of the error, or by kafkajs's name for its own errors; if kafkajs wraps another error, the
wrapped one counts.

${sections.join('\n')}`;
}

function sqlstates(): string {
  const sections = Object.entries(CONSEQUENCE_OF_KIND).map(([kind, consequence]) => {
    const rows = [...SQLSTATES]
      .filter(([, facts]) => facts.kind === kind)
      .map(([state, { name }]) => [`\`${state}\``, name]);
    return `### ${kind}\n\n${consequence}\n\n${rows.length === 0 ? '' : markdownTable(['SQLSTATE', 'name'], rows)}`;
  });
  return `## What an SQLSTATE leads to

Sluice goes by PostgreSQL's code only, never by the text of a message. A code of two characters stands for its class.
A connection that cannot be made, or that broke, counts as \`wait\`.

${sections.join('\n')}`;
}
