/**
 * Node's test environment, in which tests cost what they cost outside Jest.
 *
 * - Jest makes its globals through a proxy, and Node asks it about each use of one, such as `Math` or `Buffer`: 200 ns instead
 *   of 2 ns. A context that is made without an object to ask has plain globals (nodejs.org/api/vm.html,
 *   `vm.constants.DONT_CONTEXTIFY`). Jest offers no way to say so.
 * - Jest runs each file in an AsyncLocalStorage that it never disables. Until Node 24 every promise asks all that are
 *   enabled, so the hundredth file of a process has slow promises.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import vm from 'node:vm';
import { TestEnvironment } from 'jest-environment-node';

/** Those that the file at hand has used. */
const storages = new Set();
for (const method of ['run', 'enterWith']) {
  const original = AsyncLocalStorage.prototype[method];
  AsyncLocalStorage.prototype[method] = function (...args) {
    storages.add(this);
    return original.apply(this, args);
  };
}

export default class PlainEnvironment extends TestEnvironment {
  constructor(config, context) {
    const { createContext } = vm;
    vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY);
    try {
      super(config, context);
    } finally {
      vm.createContext = createContext;
    }
  }

  async teardown() {
    await super.teardown();
    for (const storage of storages) storage.disable();
    storages.clear();
  }
}
