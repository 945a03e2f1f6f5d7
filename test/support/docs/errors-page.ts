import { ERROR_CODES } from '#common/errors/error-codes.js';
import { type BrokerFaultKind, KAFKA_ERRORS } from '#common/kafka/kafka-errors.js';
import { type FaultKind, SQLSTATES } from '#common/postgres/sqlstate.js';
import { type FileFindingCode } from '#core/dataset/file-head.js';
import { DEFAULT_CODE } from '#core/dataset/rules.js';
import { type GENERAL_FINDING_CODES } from '#core/record/finding.js';
import { markdownTable } from './markdown-table.js';

/** docs/errors.md, from the lists in the code. The types below make a missing or surplus code an error of tsc. */
export function errorsPage(): string {
  return [INTRODUCTION, errorCodes(), findingCodes(), sqlstates(), kafkaErrors()].join('\n');
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from the code. Change the code, not this page. -->

# Errors

An **error code** says why a command, a request, a job or a service did not go on. Each has one meaning, and it is fixed
whether it passes by itself. The code stands in the CLI's output, in the HTTP API's problem details (\`code\`), in the job
row (\`error.code\`) and in the logs.

A **finding code** says what is wrong with one record, or with the head of a file. An \`error\` refuses, a \`warning\` does
not.

Texts of errors never hold credentials or what a record holds.
`;

function errorCodes(): string {
  const sections = Object.entries(ERROR_CODES).map(
    ([code, { meaning, retryable, action }]) =>
      `### ${code}\n\n${meaning}\n\n` +
      `- Passes by itself: ${retryable ? 'it can; what waits for it is tried again' : 'no'}\n- What to do: ${action}\n`,
  );
  return `## Error codes\n\n${sections.join('\n')}`;
}

const MEANING_OF_GENERAL: Readonly<Record<keyof typeof GENERAL_FINDING_CODES, string>> = {
  MALFORMED_ROW:
    'Wrong number of fields, broken quoting, a line end of another kind than the file’s, no JSON object, a value of the wrong shape on a path, two values of one name, or bytes that are not UTF-8.',
  RECORD_TOO_LARGE: 'Longer than SLUICE_RECORD_BYTES. Its place and its first bytes are kept.',
  FIELD_TOO_LONG: 'A field has more characters than its column takes.',
  NUL_REMOVED: 'A warning: NUL characters were removed, because PostgreSQL cannot hold them.',
  STRAY_QUOTE:
    'A warning: a CSV field that is not quoted holds a quote. It is stored as it stands. (A blank before an opening quote refuses the record.)',
  UNKNOWN_MEMBER:
    'A JSON record has members that the contract does not read. Counted once a record, as a warning; `unknownMembers` of the dataset makes a finding of each.',
  DUPLICATE: 'Another record of the same job has the same key, and the dataset keeps that one.',
  REFUSED_BY_DATABASE: 'PostgreSQL itself refused the row. The dead letter carries its SQLSTATE.',
  BYTES_EXPIRED:
    'A warning beside another reason: when the letter of a record that was refused at load was written, its raw batch had expired. The letter has no bytes, and its batch’s place.',
};

const MEANING_OF_FILE: Readonly<Record<FileFindingCode, string>> = {
  FILE_EMPTY: 'The file holds nothing, or nothing but blanks.',
  FILE_WITHOUT_RECORDS: 'There is a header, but not one record after it.',
  FILE_IS_HTML: 'An HTML or XML page stands where the data should be, often an error or login page.',
  FILE_IS_BINARY: 'The file is a workbook, an archive, a PDF, an image or other binary data.',
  FILE_NOT_UTF8: 'The file is UTF-16, Big5 or in another encoding.',
  LINE_ENDS_MIXED:
    'A line of the head ends with CR alone where other lines end with LF (or the other way round): a record could hide in it.',
  HEAD_UNACCOUNTED:
    'The prologue of the dataset takes other bytes for the head than the lines that it counts. A fault of the dataset.',
  COLUMN_MISSING: 'The header lacks a column that the contract reads.',
  COLUMN_REPEATED: 'The header has a column twice that the contract reads.',
  FILE_IS_JSON_ARRAY: 'The file is one JSON array and not one object a line.',
  FILE_IS_ENVELOPE: 'The file is one JSON object around the records, as APIs answer (`{"data": […]}`).',
  FILE_IS_ERROR_BODY: 'The file is the error message of a service.',
  FILE_IS_PRETTY_PRINTED: 'A JSON object is spread over several lines.',
  FILE_IS_OTHER_JSON: 'The file is one JSON object without a single member that the contract reads.',
};

function findingCodes(): string {
  const codes = (meanings: Readonly<Record<string, string>>): string =>
    markdownTable(
      ['code', 'meaning'],
      Object.entries(meanings).map(([code, meaning]) => [`\`${code}\``, meaning]),
    );
  return `## Finding codes

Each dataset has codes of its own; its README lists them, for example
[tax-registration](../libs/datasets/src/tax-registration/README.md). A rule that names no code gives \`${DEFAULT_CODE}\`, or
\`MISSING_VALUE\` where a value is required.

Any dataset's records can get these:

${codes(MEANING_OF_GENERAL)}
These refuse a file as a whole. The job fails with [SOURCE_REFUSED](#source_refused) and names them:

${codes(MEANING_OF_FILE)}`;
}

const CONSEQUENCE_OF_KIND: Readonly<Record<FaultKind, string>> = {
  record:
    'The record is at fault. If PostgreSQL names the record, and its batch passes without it, it becomes a dead letter with the SQLSTATE; its neighbours are loaded.',
  retry: 'The transaction is tried again at once.',
  wait: 'The database is at fault. The partition, or the finalization, pauses and tries again until it passes; the job shows it as its wait. No record is blamed.',
  schema:
    'Tables and contract do not fit, or a permission is missing. The job is paused with reason `schema` ([JOB_SCHEMA](#job_schema)) and an error is logged; `sluice continue` goes on with it.',
  unknown:
    'Every other SQLSTATE, and every other error: a few more attempts, then the job is paused with reason `fault` and shows what PostgreSQL said ([JOB_FAULT](#job_fault)). No record is blamed, and no other job waits.',
};

const CONSEQUENCE_OF_BROKER_KIND: Readonly<Record<BrokerFaultKind, string>> = {
  wait: 'The brokers are at fault. Work pauses and tries again until it passes.',
  setup:
    'Tries again too, and an error is logged: somebody has to mend the topic, the permission or the setting.',
  message:
    'The message is at fault. The ingestor fails its job, which can be resumed; other stages try again and log an error.',
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

By the protocol's name of the error, or the name of kafkajs's own; what kafkajs wraps around another error is looked
through.

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

By PostgreSQL's own code only, never by the text of a message. A code of two characters stands for its class.
A connection that cannot be made, or broke off, counts as \`wait\`.

${sections.join('\n')}`;
}
