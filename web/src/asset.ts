/** The avatar as it was packed for the page; docs/serve.md lists the arrays. */

import { Tensors } from "./safetensors";

export interface Head {
  format: string;
  version: number;
  made_with: string;
  count: number;
  scales: Record<string, { low: number[]; step: number[] }>;
  joints: string[];
  parents: number[];
  mirror: number[];
  limits: [number[][], number[][]];
  arkit: string[];
  feels_motion: boolean;
  photo: { size: [number, number]; focal_px: number };
  warnings: string[];
  about: { name?: string; licenses?: Record<string, string>; provenance?: string };
}

export class Asset {
  readonly head: Head;
  readonly expressionCount: number;

  constructor(readonly tensors: Tensors) {
    this.head = tensors.head as unknown as Head;
    if (this.head.format !== "persona-web-asset" || this.head.version !== 1)
      throw new Error("This is no avatar that this page can draw. Make it again with `persona`.");
    this.expressionCount = tensors.shape("joint_dirs")[2] ?? 0;
  }

  real(name: string): Float32Array {
    return this.tensors.real(name, this.head.scales[name]);
  }

  get count(): number {
    return this.head.count;
  }
}

/** Words for each Gaussian in the texture that the shader reads. */
export const WORDS = 24;

/** Pack what the shader knows of each Gaussian into 32-bit words: 96 bytes, six fetches. */
export function packRecords(asset: Asset): Uint32Array {
  const { tensors, count } = asset;
  const words = new Uint32Array(count * WORDS);
  const bytes = new Uint8Array(words.buffer);
  const shorts = new Uint16Array(words.buffer);
  const put16 = (name: string, width: number, at: number) => {
    const kept = tensors.get(name);
    for (let i = 0; i < count; i++)
      for (let k = 0; k < width; k++) shorts[i * 2 * WORDS + at + k] = kept[i * width + k]!;
  };
  const put8 = (name: string, width: number, at: number, from = 0, taken = width) => {
    const kept = tensors.get(name);
    for (let i = 0; i < count; i++)
      for (let k = 0; k < taken; k++) bytes[i * 4 * WORDS + at + k] = kept[i * width + from + k]!;
  };
  put16("means", 3, 0);
  put16("log_scales", 3, 3);
  put16("quats", 4, 6);
  put16("corners", 3, 10);
  put16("corner_shares", 3, 13);
  put16("bone_weights", 6, 16);
  put8("bone_ids", 6, 44);
  put8("albedo_roots", 3, 50);
  put8("light_normals", 3, 53);
  put8("colors", 4, 56);
  put8("weight_gradients", 18, 60);
  const steps = tensors.get("gradient_steps") as Float32Array;
  const stepWords = new Uint32Array(steps.buffer);
  for (let i = 0; i < count; i++) words[i * WORDS + 20] = stepWords[i]!;
  if (tensors.has("cloth_holders")) {
    put16("cloth_holders", 4, 42);
    // The fourth share is what the others leave of one; a row without any follows no node.
    const shares = tensors.get("cloth_shares");
    for (let i = 0; i < count; i++) {
      shorts[i * 2 * WORDS + 46] = shares[4 * i]!;
      shorts[i * 2 * WORDS + 47] = shares[4 * i + 1]!;
      shorts[i * 2 * WORDS + 39] = shares[4 * i + 2]!;
    }
  }
  return words;
}
