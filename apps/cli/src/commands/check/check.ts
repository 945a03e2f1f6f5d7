import { SluiceError } from '#common/errors/sluice-error.js';
import { type Dataset, DEFAULT_BREAKER, resolveOptions, type WriteMode } from '#core/dataset/dataset.js';
import { isTooMuchRefused } from '#core/stream/stream-breaker.js';
import { mergeModeOf } from '#core/stream/merge-mode.js';
import { loadRegistry } from '#core/registry/registry.js';
import type { FindingCategory } from '#api/job-words.js';
import { findingCategories } from '#core/record/finding-codes.js';
import { exceedsRefusedShare } from '#core/ledger/balance.js';
import type { Exit } from '../../exit-codes.js';
import { type ErrorJson, PrintedError, errorJson, errorOf } from '../../render/envelope.js';
import { counted, formatCount, formatDuration, formatShare } from '../../render/format.js';
import type { Paint } from '../../render/paint.js';
import { plainText } from '#common/text/plain-text.js';
import { reasonText } from '../../render/reason-text.js';
import { findingsTable, membersPart } from '../../render/report.js';
import { type CliContext, paintOf, write } from '../context.js';
import { resolveFile } from '../option-values.js';
import { findDataset } from '../run.js';
import { chunksOf, judgeChunks } from './judge-file.js';
import { judgeMessages } from './judge-messages.js';
import type { FileVerdict, PlacedFinding } from './verdict-sums.js';

/** `sluice check`: what a job would say about a file, or a stream about messages, without Kafka and PostgreSQL. */
export interface CheckOptions {
  readonly option?: Readonly<Record<string, string>>;
  /** The mode that a job would have; by default the dataset's own. */
  readonly mode?: WriteMode;
  readonly json?: boolean;
  /** Findings to show; all are counted. */
  readonly limitFindings?: number;
  /** Each line is the value of a message to the dataset's inbox, and not part of a file. */
  readonly messages?: boolean;
  /** That the producer sends with every message. */
  readonly header?: Readonly<Record<string, string>>;
}

const STANDARD_INPUT = 'standard input';

/** What is judged. A stream loads whatever is good in it, however little: no limit of a job ends it. */
type Judged = 'file' | 'messages';

/** @param file a name, or `-` for standard input */
export async function check(
  context: CliContext,
  name: string,
  file: string,
  options: CheckOptions,
): Promise<Exit> {
  const path = file === '-' ? null : resolveFile(file, context.cwd);
  if (options.header !== undefined && options.messages !== true)
    throw new SluiceError('USAGE_INVALID', '--header says what messages have: name --messages as well.');
  const registry = await loadRegistry(context.settings().extraDatasetPaths());
  const { dataset } = findDataset(registry.entries(), name);
  const { values, problems } = resolveOptions(dataset, options.option ?? {});
  if (problems.length > 0) throw new SluiceError('USAGE_INVALID', `Dataset ${name}: ${problems.join('; ')}.`);

  const usual = options.messages === true ? mergeModeOf(dataset) : dataset.writeModes[0];
  const mode = options.mode ?? usual ?? 'replace';
  if (!dataset.writeModes.includes(mode))
    throw new SluiceError('USAGE_INVALID', `Dataset ${name} allows ${dataset.writeModes.join(', ')}.`);

  const started = context.now();
  const called = path ?? STANDARD_INPUT;
  const what: Judged = options.messages === true ? 'messages' : 'file';
  const output =
    options.json === true
      ? new JsonOutput(context, dataset, called, what)
      : new TextOutput(context, path === null ? STANDARD_INPUT : file, what);
  const limit = options.limitFindings ?? Infinity;
  let shown = 0;
  await output.begin();
  const onFindings = async (findings: readonly PlacedFinding[]): Promise<void> => {
    for (const finding of findings) {
      if (shown >= limit) return;
      shown++;
      await output.finding(finding);
    }
  };
  const chunks = path === null ? (context.stdin as AsyncIterable<Buffer>) : chunksOf(path);
  const judged =
    what === 'messages'
      ? judgeMessages(
          dataset,
          values,
          mode,
          { lines: chunks, name: called, headers: options.header ?? {} },
          onFindings,
        )
      : judgeChunks(dataset, values, mode, chunks, called, onFindings);
  const verdict = await judged.catch((error: unknown) => output.fail(error));
  await output.end(verdict, dataset, shown, (context.now() - started) / 1000);
  return errorOfVerdict(verdict, what) === null ? 'success' : 'findings';
}

/** Why the command ends with its own code; null when it ends with 0. */
function errorOfVerdict(verdict: FileVerdict, what: Judged): ErrorJson | null {
  const { fileRefused, refused, read } = verdict;
  if (fileRefused) return errorOf('SOURCE_REFUSED', 'The file is refused as a whole.');
  const share = `${formatCount(refused)} of ${counted(read, 'record')}`;
  if (what === 'messages' && read === 0) return errorOf('CHECK_FAILED', 'There is no message.');
  if (what === 'file' && nothingLoads(verdict))
    return errorOf('JOB_NOTHING_LOADED', 'No record of the file is accepted.');
  return refused === 0 ? null : errorOf('CHECK_FAILED', `${share} would be refused.`);
}

/** A job ends with JOB_NOTHING_LOADED then, whatever its size. */
function nothingLoads({ accepted }: FileVerdict): boolean {
  return accepted === 0;
}

interface CheckOutput {
  begin(): Promise<void>;
  finding(finding: PlacedFinding): Promise<void>;
  end(verdict: FileVerdict, dataset: Dataset, shown: number, seconds: number): Promise<void>;
  /** Throws it on, once what was printed is whole. */
  fail(error: unknown): Promise<never>;
}

/** One line a finding, as compilers write them, so that editors and CI systems find the place. */
class TextOutput implements CheckOutput {
  private readonly paint: Paint;

  constructor(
    private readonly context: CliContext,
    private readonly file: string,
    private readonly what: Judged,
  ) {
    this.paint = paintOf(context);
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  finding(finding: PlacedFinding): Promise<void> {
    const { line, severity, code } = finding;
    const kind = this.paint(severity === 'error' ? 'red' : 'yellow', `${severity} ${code}`);
    return write(
      this.context.stdout,
      `${plainText(this.file)}:${line}: ${kind} ${plainText(reasonText(finding))}\n`,
    );
  }

  fail(error: unknown): Promise<never> {
    throw error;
  }

  end(verdict: FileVerdict, dataset: Dataset, shown: number, seconds: number): Promise<void> {
    return write(
      this.context.stdout,
      `${shown > 0 ? '\n' : ''}${summaryText(verdict, dataset, { shown, seconds, what: this.what })}`,
    );
  }
}

function summaryText(
  verdict: FileVerdict,
  dataset: Dataset,
  { shown, seconds, what }: { readonly shown: number; readonly seconds: number; readonly what: Judged },
): string {
  if (verdict.fileRefused) return 'The file is refused as a whole; none of its records was looked at.\n';
  const { read, accepted, refused, skipped, warnings, superseded, deletes } = verdict;
  const found = Object.values(verdict.findings).reduce((sum, count) => sum + count, 0);
  const share = refused === 0 ? '' : ` (${formatShare(refused / read)})`;
  const lines = [
    `${counted(read, 'record')} read in ${formatDuration(seconds)}: ${formatCount(accepted)} accepted, ` +
      `${formatCount(refused)} refused${share}, ${formatCount(skipped)} skipped; ${counted(warnings, 'warning')}.`,
  ];
  if (deletes > 0)
    lines.push(
      `Of the accepted ones ${formatCount(deletes)} ${deletes === 1 ? 'is a delete' : 'are deletes'}.`,
    );
  if (superseded > 0) {
    lines.push(
      `Of the accepted ones ${formatCount(superseded)} ${superseded === 1 ? 'is' : 'are'} superseded by others with their key (mode upsert).`,
    );
  }
  if (shown < found) lines.push(`Shown are ${formatCount(shown)} of ${counted(found, 'finding')}.`);
  if (found > 0) lines.push(findingsTable(verdict.findings, categoriesIn(dataset, verdict)).trimEnd());
  const members = Object.entries(verdict.unknownMembers)
    .sort(([, a], [, b]) => b - a)
    .map(([name, records]) => ({ name, records }));
  if (members.length > 0) lines.push(membersPart(members).trimEnd());
  lines.push(...(what === 'file' ? failuresOfJob(verdict, dataset) : failuresOfStream(verdict, dataset)));
  if (verdict.duplicatesIncomplete) {
    lines.push('There are too many keys to compare all of them: a job may find more duplicates.');
  }
  lines.push('Not judged here: what only the database knows, such as keys that are in its tables already.');
  return `${lines.join('\n')}\n`;
}

/** In the order in which a job's finalizer asks. */
function failuresOfJob(verdict: FileVerdict, dataset: Dataset): string[] {
  const { read, refused } = verdict;
  if (dataset.strict === true && refused > 0)
    return ['A job would fail: the dataset is strict, and a record is refused (STRICT_REFUSED).'];
  if (exceedsRefusedShare(refused, read, dataset.maxRefusedShare))
    return [
      `A job would fail: more than ${formatShare(dataset.maxRefusedShare)} of the records are refused.`,
    ];
  return nothingLoads(verdict) ? ['A job would fail: no record is accepted (JOB_NOTHING_LOADED).'] : [];
}

function failuresOfStream({ read, refused }: FileVerdict, dataset: Dataset): string[] {
  if (dataset.strict === true && refused > 0)
    return ['The stream would stand: the dataset is strict, and a record is refused (STRICT_REFUSED).'];
  const counts = { read, refused };
  return isTooMuchRefused(dataset.breaker ?? DEFAULT_BREAKER, counts)
    ? ['The stream would be paused: too many of its records are refused (STREAM_BREAKER).']
    : [];
}

/** What each code of the file's findings is about; those of its head are all `structure`. */
function categoriesIn(
  dataset: Dataset,
  { findings }: FileVerdict,
): Readonly<Record<string, FindingCategory>> {
  const known = findingCategories(dataset);
  return Object.fromEntries(Object.keys(findings).map((code) => [code, known.get(code) ?? 'structure']));
}

/** One object, written as it comes, so that a file full of findings fits as well. */
class JsonOutput implements CheckOutput {
  private separator = '\n';

  constructor(
    private readonly context: CliContext,
    private readonly dataset: Dataset,
    private readonly path: string,
    private readonly what: Judged,
  ) {}

  begin(): Promise<void> {
    const { dataset, path } = this;
    return write(
      this.context.stdout,
      `{"dataset":${JSON.stringify(dataset.name)},"file":${JSON.stringify(path)},"details":[`,
    );
  }

  async finding({ line, code, field, message, severity }: PlacedFinding): Promise<void> {
    await write(
      this.context.stdout,
      this.separator +
        JSON.stringify({ line, code, field, message, severity, category: this.categoryOf(code) }),
    );
    this.separator = ',\n';
  }

  end(verdict: FileVerdict, _dataset: Dataset, _shown: number, seconds: number): Promise<void> {
    const { findings, fileRefused, duplicatesIncomplete, unknownMembers, ...counts } = verdict;
    const error = errorOfVerdict(verdict, this.what);
    return this.close({
      ...{ fileRefused, counts, findings },
      categories: categoriesIn(this.dataset, verdict),
      ...{ unknownMembers, duplicatesIncomplete, seconds },
      ...(error === null ? { ok: true } : { ok: false, error }),
    });
  }

  /** What is wrong with the head is `structure`, whatever the dataset's own code for it. */
  private categoryOf(code: string): FindingCategory {
    return findingCategories(this.dataset).get(code) ?? 'structure';
  }

  /** The object has begun: it is closed with the error in it. */
  async fail(error: unknown): Promise<never> {
    await this.close({ ok: false, error: errorJson(error) });
    throw new PrintedError(error);
  }

  private close(rest: object): Promise<void> {
    return write(this.context.stdout, `],${JSON.stringify(rest).slice(1)}\n`);
  }
}
