/**
 * Puts off loading a CommonJS package until something of it is used. JavaScript, as what uses it:
 * programPreload.js.
 */
import { createRequire, Module } from "node:module";

/**
 * From now on whoever requires the package gets a stand-in, and the package itself when they first
 * look for a property of it. Where it isn't installed, nothing changes.
 * @param {string} by the file of a module that requires it; it decides which copy that is
 * @param {string} name of the package; one whose export is an object, not a function
 * @param {Record<string, unknown>} known properties that are answered without loading it
 */
export function loadLazily(by, name, known = {}) {
  const require = createRequire(by);
  let file;
  try {
    file = require.resolve(name);
  } catch {
    return;
  }
  if (require.cache[file] !== undefined) return;
  let loaded;
  const real = () => {
    if (loaded === undefined) {
      Reflect.deleteProperty(require.cache, file);
      loaded = require(file);
    }
    return loaded;
  };
  // The first is said of a namespace: else TypeScript's `import * as` would copy its properties, and so
  // load it.
  const answers = { __proto__: null, __esModule: true, ...known };
  const standIn = new Module(file);
  standIn.filename = file;
  standIn.loaded = true;
  standIn.exports = new Proxy(
    {},
    {
      get: (_, key) => Reflect.get(key in answers ? answers : real(), key),
      has: (_, key) => Reflect.has(real(), key),
      ownKeys: () => Reflect.ownKeys(real()),
      getOwnPropertyDescriptor: (_, key) => {
        const found = Reflect.getOwnPropertyDescriptor(real(), key);
        // A proxy may not tell of a fixed property that its own target lacks.
        return found && { ...found, configurable: true };
      },
    },
  );
  require.cache[file] = standIn;
}
