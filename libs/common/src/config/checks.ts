import { readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ValidateBy } from '../validation/class-validator.js';

/** Checks of single settings that class-validator does not have. A value that passes can still be unreachable. */

/** Items of a list that is separated by commas, without blanks around them; empty ones do not count. */
export function itemsOf(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `host:port`, separated by commas; an IPv6 address stands in brackets. */
export function IsBrokerList(): PropertyDecorator {
  return check('isBrokerList', 'must be host:port, separated by commas', (text) => {
    const brokers = itemsOf(text);
    return brokers.length > 0 && brokers.every(isHostAndPort);
  });
}

/** An IP address or the name of a host. */
export function IsListenAddress(): PropertyDecorator {
  return check('isListenAddress', 'must be an IP address or the name of a host', isHost);
}

/** What `pg` can parse: an address with a percent sign that encodes nothing throws only when it is used. */
export function IsPostgresUrl(): PropertyDecorator {
  return check('isPostgresUrl', 'must begin with postgres:// and be a whole address', (text) => {
    if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return false;
    const { username, password, pathname, host } = new URL(text);
    return [username, password, pathname, host].every(isDecodable);
  });
}

/** Folders that are there, separated by colons. */
export function IsFolderList(): PropertyDecorator {
  return check('isFolderList', 'must name folders that can be read, separated by colons', (text) =>
    text
      .split(':')
      .filter((path) => path !== '')
      .every((path) => works(() => readdirSync(path))),
  );
}

/** The name of a file that is there, or nothing. */
export function IsReadableFile(): PropertyDecorator {
  return check(
    'isReadableFile',
    'must name a file that can be read',
    (text) => text === '' || works(() => readFileSync(text)),
  );
}

/** PostgreSQL takes 1 MB to 2 TB for maintenance_work_mem; a value beyond that would fail when an index is built. */
export function IsMemorySize(): PropertyDecorator {
  return check('isMemorySize', 'must be a size like 64MB, from 1MB to 2047GB', (text) => {
    const [, digits, unit] = /^(\d{1,12})(kB|MB|GB)$/.exec(text) ?? [];
    const kilobytes = Number(digits) * { kB: 1, MB: 1024, GB: 1024 ** 2 }[unit as 'kB' | 'MB' | 'GB'];
    return digits !== undefined && kilobytes >= 1024 && kilobytes <= 2_147_483_647;
  });
}

const HOST_NAME =
  /^(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/** Digits and dots alone are meant as an address: `127.0.0.999` is the name of no host. */
function isHost(text: string): boolean {
  return isIP(text) !== 0 || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}

function isHostAndPort(text: string): boolean {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = bracketed === undefined ? plain !== undefined && isHost(plain) : isIP(bracketed) === 6;
  return isAddress && Number(port) >= 1 && Number(port) <= 65_535;
}

function isDecodable(text: string): boolean {
  return works(() => decodeURIComponent(text));
}

/** Whether it returns. */
export function works(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

function check(name: string, demand: string, holds: (text: string) => boolean): PropertyDecorator {
  const validator = { validate: (value: unknown) => typeof value === 'string' && holds(value) };
  return ValidateBy({ name, validator }, { message: `$property ${demand}` });
}
