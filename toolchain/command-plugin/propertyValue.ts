/**
 * Property values as Pulumi's engine sends them to a provider: JSON, in which secrets, assets,
 * archives and values that are unknown during a preview are marked by fixed signatures.
 * The signatures are part of Pulumi's provider protocol ("Resource properties" in its docs).
 */

export type PropertyValue =
  null | boolean | number | string | PropertyValue[] | { [key: string]: PropertyValue };

export type Properties = Record<string, PropertyValue>;

/** The key whose presence makes an object something special; its value says what. */
export const signatureKey = "4dabf18193072939515e22adb298388d";
export const assetSignature = "c44067f5952c0a294b673a41bacd8c17";
export const archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7";
export const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** "Not known before the update": what an output is during a preview. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

// The engine tells an unknown's type by its marker where it knows it.
const unknownMarkers = new Set([
  unknown,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

export function isObject(
  value: PropertyValue | undefined,
): value is { [key: string]: PropertyValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for the objects that stand for one value: secrets, assets, archives, resources. */
export function isSpecial(value: PropertyValue | undefined): boolean {
  return isObject(value) && signatureKey in value;
}

export function isUnknown(value: PropertyValue | undefined): boolean {
  return typeof value === "string" && unknownMarkers.has(value);
}

/** True when the value, or anything inside of it, is a secret. */
export function holdsSecret(value: PropertyValue | undefined): boolean {
  if (Array.isArray(value)) return value.some(holdsSecret);
  if (!isObject(value)) return false;
  return value[signatureKey] === secretSignature || Object.values(value).some(holdsSecret);
}

/** The value with every secret's envelope taken off. */
export function withoutSecrets(value: PropertyValue): PropertyValue {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isObject(value)) return value;
  if (value[signatureKey] === secretSignature) return withoutSecrets(value["value"] ?? null);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner)]),
  );
}

/**
 * Equality as the engine sees it: a secret equals only a secret, and two assets (or archives) are
 * equal when their contents are, wherever they lie.
 */
export function equal(left: PropertyValue | undefined, right: PropertyValue | undefined): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => equal(value, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return left === right;
  const signature = left[signatureKey];
  if (signature !== right[signatureKey]) return false;
  if (
    (signature === assetSignature || signature === archiveSignature) &&
    left["hash"] &&
    right["hash"]
  ) {
    return left["hash"] === right["hash"];
  }
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => key in right && equal(left[key], right[key]))
  );
}
