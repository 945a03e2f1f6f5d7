// First: a settings class is described by its decorators the moment it is defined, in whatever program that happens.
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from '../validation/class-validator.js';
import { SluiceError, messageOf } from '../errors/sluice-error.js';

/**
 * Reads an app's settings from the environment: the only place that touches `process.env`.
 *
 * Each property of the settings class is filled from the variable that `@Variable` names; `NAME_FILE`
 * instead of `NAME` reads the value from that file (secrets). Errors name the variable, never its value.
 * A variable that is `reread` takes the file's newer content whenever its property is read, so that new connections use a
 * rotated password or certificate.
 */
export interface VariableFacts {
  readonly property: string;
  readonly variable: string;
  readonly help: string;
  readonly secret: boolean;
  /** Whether its file, if it has one, is read again each time. */
  readonly reread: boolean;
}

const variablesOf = new Map<object, VariableFacts[]>();

/** Binds a settings property to its environment variable. */
export function Variable(
  variable: string,
  help: string,
  facts: { secret?: boolean; reread?: boolean } = {},
): PropertyDecorator {
  return (prototype, property) => {
    const own = variablesOf.get(prototype) ?? [];
    const { secret = false, reread = false } = facts;
    own.push({ property: String(property), variable, help, secret, reread });
    variablesOf.set(prototype, own);
  };
}

/** Every variable of a settings class, inherited ones first. */
export function listVariables(settings: new () => object): readonly VariableFacts[] {
  const chain: VariableFacts[][] = [];
  for (let p = settings.prototype as object | null; p; p = Object.getPrototypeOf(p) as object | null) {
    chain.unshift(variablesOf.get(p) ?? []);
  }
  return chain.flat();
}

/** A settings class may check its fields against each other. */
export interface CrossChecked {
  /** @returns one sentence for each contradiction, naming the variables. */
  crossCheck(): readonly string[];
}

type SettingsClass<T extends object = object> = new () => T;
type Environment = Readonly<Record<string, string | undefined>>;

/** @throws SluiceError SETTING_INVALID listing every wrong variable at once */
export function loadSettings<T extends object>(
  settings: SettingsClass<T>,
  environment: Environment = process.env,
): T {
  return loadAllSettings([settings], environment).of(settings);
}

/** The settings of one program, each class of them read and checked. */
export class Settings {
  constructor(private readonly loaded: ReadonlyMap<SettingsClass, object>) {}

  /** @throws SluiceError INTERNAL for a class that the program does not list, which no start has checked */
  of<T extends object>(settings: SettingsClass<T>): T {
    const found = this.loaded.get(settings);
    if (found === undefined)
      throw new SluiceError('INTERNAL', `${settings.name} is not among the settings of this program.`);
    return found as T;
  }
}

/**
 * All settings classes of a program at once, so that one start names everything that is wrong.
 * @throws SluiceError SETTING_INVALID listing every wrong variable of every class
 */
export function loadAllSettings(
  classes: readonly SettingsClass[],
  environment: Environment = process.env,
): Settings {
  const loaded = new Map<SettingsClass, object>();
  const problems = new Set<string>();
  for (const settings of classes) {
    const { instance, problems: found } = readSettings(settings, environment);
    loaded.set(settings, instance);
    for (const problem of found) problems.add(problem);
  }
  if (problems.size > 0)
    throw new SluiceError('SETTING_INVALID', `Settings are wrong: ${[...problems].join('; ')}.`);
  return new Settings(loaded);
}

function readSettings<T extends object>(
  settings: SettingsClass<T>,
  environment: Environment,
): { readonly instance: T; readonly problems: readonly string[] } {
  const variables = listVariables(settings);
  const given: Record<string, string> = {};
  const problems: string[] = [];
  for (const { property, variable } of variables) {
    const file = environment[`${variable}_FILE`];
    try {
      const value = file ? readFileSync(file, 'utf8').trim() : environment[variable];
      if (value !== undefined && value !== '') given[property] = value;
    } catch (error) {
      problems.push(
        `${variable}_FILE cannot be read (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})`,
      );
    }
  }
  const instance = plainToInstance(settings, given, {
    enableImplicitConversion: true,
    exposeDefaultValues: true,
  });
  const nameOf = (property: string): string =>
    variables.find((facts) => facts.property === property)?.variable ?? property;
  problems.push(
    ...validateSync(instance, { forbidUnknownValues: true }).flatMap((error) => describe(error, nameOf)),
  );
  if (problems.length === 0 && 'crossCheck' in instance)
    problems.push(...(instance as CrossChecked).crossCheck());
  for (const { property, variable, reread } of variables) {
    const file = environment[`${variable}_FILE`];
    if (reread && file && given[property] !== undefined)
      rereadFrom(file, instance, property, given[property]);
  }
  return { instance, problems };
}

/** While the file is away or empty, as for a moment when it is replaced, the last value stays. */
function rereadFrom(file: string, instance: object, property: string, first: string): void {
  let last = first;
  const get = (): string => {
    try {
      last = readFileSync(file, 'utf8').trim() || last;
    } catch {
      // The service that needs the new value is refused with the old one, and says so.
    }
    return last;
  };
  Object.defineProperty(instance, property, { get, enumerable: true, configurable: true });
}

function describe(error: ValidationError, nameOf: (property: string) => string): string[] {
  const variable = nameOf(error.property);
  const constraints = error.constraints ?? {};
  // A value that is no number is neither too small nor too large.
  const texts = constraints['isInt'] === undefined ? Object.values(constraints) : [constraints['isInt']];
  return texts.map((text) => text.replaceAll(error.property, variable));
}

/** The environment of a process that we start: our own, with some variables set or (undefined) taken away. */
export function childEnvironment(
  changes: Readonly<Record<string, string | undefined>> = {},
): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}

/** For {@link childEnvironment}: takes away what the settings class reads, itself or by a file. */
export function unset(settings: new () => object): Readonly<Record<string, undefined>> {
  const names = listVariables(settings).flatMap(({ variable }) => [variable, `${variable}_FILE`]);
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

/** Whether our own environment gives the variable a value, itself or by a file. */
export function isSet(variable: string): boolean {
  return [variable, `${variable}_FILE`].some((name) => (process.env[name] ?? '') !== '');
}
