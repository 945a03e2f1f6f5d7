import { readFileSync } from 'node:fs';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from 'class-validator';
import { SluiceError, messageOf } from '../errors/sluice-error.js';

/**
 * Reads an app's settings from the environment: the only place that touches `process.env`.
 *
 * Each property of the settings class is filled from the variable that `@Variable` names; `NAME_FILE`
 * instead of `NAME` reads the value from that file (secrets). Errors name the variable, never its value.
 */
export interface VariableFacts {
  readonly property: string;
  readonly variable: string;
  readonly help: string;
  readonly secret: boolean;
}

const variablesOf = new Map<object, VariableFacts[]>();

/** Binds a settings property to its environment variable. */
export function Variable(
  variable: string,
  help: string,
  facts: { secret?: boolean } = {},
): PropertyDecorator {
  return (prototype, property) => {
    const own = variablesOf.get(prototype) ?? [];
    own.push({ property: String(property), variable, help, secret: facts.secret ?? false });
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

/** @throws SluiceError SETTING_INVALID listing every wrong variable at once */
export function loadSettings<T extends object>(
  settings: new () => T,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): T {
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
  if (problems.length > 0)
    throw new SluiceError('SETTING_INVALID', `Settings are wrong: ${problems.join('; ')}.`);
  return instance;
}

function describe(error: ValidationError, nameOf: (property: string) => string): string[] {
  const variable = nameOf(error.property);
  return Object.values(error.constraints ?? {}).map((text) => text.replaceAll(error.property, variable));
}

/** The environment of a process that we start: our own, with some variables set or (undefined) taken away. */
export function childEnvironment(
  changes: Readonly<Record<string, string | undefined>> = {},
): NodeJS.ProcessEnv {
  return { ...process.env, ...changes };
}
