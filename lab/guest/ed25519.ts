/**
 * Making an ed25519 key pair in OpenSSH's formats (openssh-portable, PROTOCOL.key).
 *
 * Written out here because ssh2's own generator strips leading zero bytes of the public key (ssh2
 * 1.17, lib/keygen.js): one key in 256 comes out malformed.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";

export interface KeyPair {
  /** PEM-like text without a passphrase. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA… comment` */
  readonly publicKey: string;
}

const type = "ssh-ed25519";

export function makeKeyPair(comment: string): KeyPair {
  // JWK holds the raw 32 bytes of both halves (RFC 8037, 2).
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const raw = Buffer.from(jwk.x ?? "", "base64url");
  const seed = Buffer.from(jwk.d ?? "", "base64url");
  return formatKeyPair(seed, raw, comment);
}

/** The pair of a seed and its public point, 32 bytes each. */
export function formatKeyPair(seed: Buffer, raw: Buffer, comment: string): KeyPair {
  if (seed.length !== 32 || raw.length !== 32) throw new RangeError("not an ed25519 key");
  const publicWire = Buffer.concat([string(type), string(raw)]);
  // The same number twice: how a reader with a wrong passphrase would notice.
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    publicWire,
    string(Buffer.concat([seed, raw])),
    string(comment),
  ]);
  // Cipher "none" has blocks of 8 bytes; the padding counts 1, 2, 3 …
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8));
  const wire = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"),
    string("none"),
    string(""),
    uint32(1),
    string(publicWire),
    string(Buffer.concat([secret, padding])),
  ]);
  const lines = wire.toString("base64").replace(/.{70}/g, "$&\n");
  const end = "OPENSSH PRIVATE KEY-----";
  return {
    privateKey: `-----BEGIN ${end}\n${lines.trimEnd()}\n-----END ${end}\n`,
    publicKey: `${type} ${publicWire.toString("base64")} ${comment}`.trim(),
  };
}

function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
