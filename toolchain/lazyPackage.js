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
 */
export function loadLazily(by, name) {
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
  const standIn = new Module(file);
  standIn.filename = file;
  standIn.loaded = true;
  standIn.exports = new Proxy(
    {},
    {
      // Said of a namespace: else TypeScript's `import * as` would copy its properties, and so load it.
      get: (_, key) => (key === "__esModule" ? true : Reflect.get(real(), key)),
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
