/** Order Gaussians by the depth at which their bones carry them: a counting sort of 16 bits. */

export interface SortSetup {
  kind: "setup";
  count: number;
  means: Float32Array;
  boneIds: Uint8Array;
  boneWeights: Uint16Array;
}

export interface SortAsk {
  kind: "sort";
  serial: number;
  /** Twelve numbers a bone. */
  bones: Float32Array;
  /** The row of T_camera_world that gives depth. */
  view: [number, number, number, number];
  /** A buffer to write into, returned with the answer. */
  spare: Uint32Array | null;
}

const SLOTS = 6;
const KEYS = 1 << 16;

export class Order {
  private readonly depths: Float32Array;
  private readonly keys: Uint16Array;
  private readonly starts = new Uint32Array(KEYS + 1);

  constructor(private readonly setup: SortSetup) {
    this.depths = new Float32Array(setup.count);
    this.keys = new Uint16Array(setup.count);
  }

  /** Ids from far to near. */
  sort(
    bones: Float32Array, view: [number, number, number, number], spare: Uint32Array | null,
  ): Uint32Array {
    const { count } = this.setup;
    const ids = spare ?? new Uint32Array(count);
    const [low, high] = this.measure(bones, view);
    const { depths, keys, starts } = this;
    const scale = (KEYS - 1) / Math.max(high - low, 1e-9);
    starts.fill(0);
    for (let i = 0; i < count; i++) {
      const key = ((high - depths[i]!) * scale) | 0;
      keys[i] = key;
      starts[key + 1]!++;
    }
    for (let k = 1; k <= KEYS; k++) starts[k]! += starts[k - 1]!;
    for (let i = 0; i < count; i++) ids[starts[keys[i]!]!++] = i;
    return ids;
  }

  private measure(
    bones: Float32Array, view: [number, number, number, number],
  ): [number, number] {
    const { count, means, boneIds, boneWeights } = this.setup;
    const rows = new Float32Array((4 * bones.length) / 12);
    for (let b = 0; b < bones.length / 12; b++)
      for (let k = 0; k < 4; k++)
        rows[4 * b + k] =
          view[0] * bones[12 * b + k]! + view[1] * bones[12 * b + 4 + k]! +
          view[2] * bones[12 * b + 8 + k]! + (k === 3 ? view[3] : 0);
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < count; i++) {
      const x = means[3 * i]!, y = means[3 * i + 1]!, z = means[3 * i + 2]!;
      let depth = 0;
      for (let s = SLOTS * i; s < SLOTS * i + SLOTS; s++) {
        const weight = boneWeights[s]!;
        if (weight === 0) break; // shares fall from slot to slot
        const r = 4 * boneIds[s]!;
        depth += weight * (rows[r]! * x + rows[r + 1]! * y + rows[r + 2]! * z + rows[r + 3]!);
      }
      depth /= 65535;
      this.depths[i] = depth;
      if (depth < low) low = depth;
      if (depth > high) high = depth;
    }
    return [low, high];
  }
}
