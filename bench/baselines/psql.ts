import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';

/** Settings of one psql session, as `SET` takes them. */
export type SessionSettings = Readonly<Record<string, string>>;

/** The system's psql, one process a script; scripts stay in the folder, so that a reader who doubts a figure can look at them. */
export class Psql {
  private scripts = 0;

  /** @param url of the database, with user and password; they go to psql by its environment only */
  constructor(
    private readonly url: string,
    private readonly folder: string,
  ) {}

  /**
   * Runs a script in a process of its own; its first error ends it.
   * @throws SluiceError INTERNAL with what psql said
   */
  async run(name: string, script: string, settings: SessionSettings = {}): Promise<void> {
    const file = join(this.folder, `${String(++this.scripts).padStart(3, '0')}-${name}.sql`);
    await writeFile(file, script);
    const child = spawn('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--file=${file}`], {
      env: childEnvironment({ ...connectionVariables(this.url), PGOPTIONS: pgOptions(settings) }),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    if (code !== 0)
      throw new SluiceError(
        'INTERNAL',
        `psql ended with code ${code ?? '?'} in ${file}: ${said.slice(0, 2_000)}`,
      );
  }
}

/** `\copy` of a file of this machine. @param columns unquoted; @param format COPY's options, without: text */
export function copyFrom(table: string, columns: readonly string[], file: string, format = ''): string {
  const list = columns.map((column) => `"${column}"`).join(', ');
  return `\\copy ${table} (${list}) FROM '${file.replaceAll("'", "''")}'${format === '' ? '' : ` WITH (${format})`}\n`;
}

function connectionVariables(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGAPPNAME: 'bench-psql',
    PGCLIENTENCODING: 'UTF8',
  };
}

function pgOptions(settings: SessionSettings): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}
