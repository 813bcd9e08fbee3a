/** Order Gaussians by the depth at which their bones carry them: a counting sort of 16 bits. */

export interface SortSetup {
  kind: "setup";
  count: number;
  means: Float32Array;
  boneIds: Uint8Array;
  boneWeights: Uint16Array;
  corners: Uint16Array;
  cornerShares: Uint16Array;
  /** Nodes of the cloth that each Gaussian follows, four each; null without cloth. */
  holders: Uint16Array | null;
  holderShares: Uint16Array | null;
}

export interface SortAsk {
  kind: "sort";
  serial: number;
  /** Twelve numbers a bone. */
  bones: Float32Array;
  /** Added to the rest vertices, four numbers each. */
  flesh: Float32Array;
  /** Offsets and slopes of the cloth, twelve numbers a node; null without cloth. */
  nodes: Float32Array | null;
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
  sort(ask: SortAsk): Uint32Array {
    const { count } = this.setup;
    const ids = ask.spare ?? new Uint32Array(count);
    const [low, high] = this.measure(ask);
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

  private measure({ bones, flesh, nodes, view }: SortAsk): [number, number] {
    const { count, means, boneIds, boneWeights } = this.setup;
    const { corners, cornerShares, holders, holderShares } = this.setup;
    const moved = new Float32Array(3);
    const rows = new Float32Array((4 * bones.length) / 12);
    for (let b = 0; b < bones.length / 12; b++)
      for (let k = 0; k < 4; k++)
        rows[4 * b + k] =
          view[0] * bones[12 * b + k]! + view[1] * bones[12 * b + 4 + k]! +
          view[2] * bones[12 * b + 8 + k]! + (k === 3 ? view[3] : 0);
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < count; i++) {
      moved.fill(0);
      for (let c = 3 * i; c < 3 * i + 3; c++) add(moved, cornerShares[c]!, flesh, 4 * corners[c]!);
      if (nodes && holders && holderShares)
        for (let h = 4 * i; h < 4 * i + 4; h++)
          add(moved, holderShares[h]!, nodes, 12 * holders[h]!);
      const x = means[3 * i]! + moved[0]!;
      const y = means[3 * i + 1]! + moved[1]!;
      const z = means[3 * i + 2]! + moved[2]!;
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

/** Add a share (of 65535) of three numbers. */
function add(to: Float32Array, share: number, from: Float32Array, at: number): void {
  if (share === 0) return;
  const part = share / 65535;
  to[0]! += part * from[at]!;
  to[1]! += part * from[at + 1]!;
  to[2]! += part * from[at + 2]!;
}
