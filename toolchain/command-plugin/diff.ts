/** What differs between a resource's old and new inputs, and whether it must be replaced. */
import {
  equal,
  isObject,
  isSpecial,
  type Properties,
  type PropertyValue,
} from "./propertyValue.ts";

export interface Difference {
  /** The property's path in Pulumi's notation: `environment.PATH`, `triggers[0]`. */
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  /** Triggers replace the resource; every other input updates it. */
  readonly replaces: boolean;
}

/** The differences, one per changed leaf. Secrets, assets and archives are leaves. */
export function differences(olds: Properties, news: Properties): Difference[] {
  const found: Difference[] = [];
  compareObjects("", withoutNulls(olds), withoutNulls(news), (path, kind) =>
    found.push({ path, kind, replaces: /^triggers(\[|$)/.test(path) }),
  );
  return found;
}

type Report = (path: string, kind: Difference["kind"]) => void;

// A null input and an absent one are the same to the provider.
function withoutNulls(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== null));
}

function compareObjects(prefix: string, old: Properties, now: Properties, report: Report): void {
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    compare(prefix + pathElement(key, prefix === ""), old[key], now[key], report);
  }
}

function compare(
  path: string,
  old: PropertyValue | undefined,
  now: PropertyValue | undefined,
  report: Report,
): void {
  if (old === undefined) {
    report(path, "add");
  } else if (now === undefined) {
    report(path, "delete");
  } else if (Array.isArray(old) && Array.isArray(now)) {
    for (let index = 0; index < Math.max(old.length, now.length); index++) {
      compare(`${path}[${index}]`, old[index], now[index], report);
    }
  } else if (isObject(old) && isObject(now) && !isSpecial(old) && !isSpecial(now)) {
    compareObjects(path, old, now, report);
  } else if (!equal(old, now)) {
    report(path, "update");
  }
}

function pathElement(key: string, first: boolean): string {
  if (/[."[\]]/.test(key)) return `["${key.replaceAll('"', '\\"')}"]`;
  return first ? key : `.${key}`;
}
