// Open one vaultdb value with nothing but Node.js; see README.md for the input.

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const PRINTABLE = new Set(["str", "json", "object", "decimal", "enum"]);
const PADDED = 2;

const hex = (text) => Buffer.from(text, "hex");
const u8 = (number) => Buffer.from([number]);
const u32 = (number) => {
  const packed = Buffer.alloc(4);
  packed.writeUInt32BE(number);
  return packed;
};
const i64 = (number) => {
  const packed = Buffer.alloc(8);
  packed.writeBigInt64BE(number);
  return packed;
};
const days = (text) => {
  const packed = Buffer.alloc(4);
  packed.writeInt32BE((Date.parse(`${text}T00:00Z`) - Date.UTC(2000, 0, 1)) / 86_400_000);
  return packed;
};

const canon = (...parts) =>
  Buffer.concat([u8(parts.length), ...parts.flatMap((part) => [u32(part.length), part])]);

// Tag of a key column, and how its text becomes bytes.
const KEY_PARTS = {
  1: (text) => i64(BigInt(text)),
  2: (text) => hex(text.replaceAll("-", "")),
  3: (text) => Buffer.from(text, "utf8"),
  4: hex,
  5: days,
};

const rowBinding = (key) => {
  if (key.length === 0) return Buffer.alloc(0); // bind="column"
  const parts = key.flatMap(([tag, text]) => {
    const part = KEY_PARTS[tag](text);
    return [u8(tag), u32(part.length), part];
  });
  return Buffer.concat([u8(key.length), ...parts]);
};

// XAES-256-GCM (https://c2sp.org/XAES-256-GCM): CMAC in counter mode over the nonce's first half.
const aes = (key, block) => {
  const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
};

const subkey = (dek, prefix) => {
  const zero = BigInt(`0x${aes(dek, Buffer.alloc(16)).toString("hex")}`);
  const doubled = (zero << 1n) & ((1n << 128n) - 1n);
  const k1 = hex((doubled ^ (zero >> 127n ? 0x87n : 0n)).toString(16).padStart(32, "0"));
  const halves = [1, 2].map((counter) => {
    const block = Buffer.concat([Buffer.from([0, counter, 0x58, 0]), prefix]);
    return aes(dek, block.map((byte, at) => byte ^ k1[at]));
  });
  return Buffer.concat(halves);
};

const decrypt = (value) => {
  const dek = hex(value.dek);
  const envelope = hex(value.envelope);
  const header = envelope.subarray(0, 18);
  const nonce = envelope.subarray(18, 42);
  const keyId = createHmac("sha256", dek).update("vaultdb/key-id/v1").digest().subarray(0, 16);
  if (!header.equals(Buffer.concat([Buffer.from([0xf6, 0x01]), keyId]))) {
    throw new Error("no envelope of this key");
  }
  const associatedData = canon(
    Buffer.from("vaultdb/aad/v1"),
    hex(value.realm.replaceAll("-", "")),
    Buffer.from(value.tenant),
    Buffer.from(value.logical_name),
    Buffer.from(value.type_tag),
    header,
    rowBinding(value.key),
  );
  const cipher = createDecipheriv(
    "aes-256-gcm",
    subkey(dek, nonce.subarray(0, 12)),
    nonce.subarray(12),
    { authTagLength: 16 },
  );
  cipher.setAAD(associatedData);
  cipher.setAuthTag(envelope.subarray(-16));
  const frame = Buffer.concat([cipher.update(envelope.subarray(42, -16)), cipher.final()]);
  const payload = frame.subarray(2);
  return frame[0] & PADDED ? payload.subarray(0, payload.lastIndexOf(0x80)) : payload;
};

const value = JSON.parse(readFileSync(0, "utf8"));
const payload = decrypt(value);
console.log(payload.toString(PRINTABLE.has(value.type_tag) ? "utf8" : "hex"));
