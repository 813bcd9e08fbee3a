/** What clothes do: the shapes baked from the avatar's network, mixed by pose and motion. */

import { turnBetween } from "./algebra";
import type { Asset } from "./asset";
import type { Pose } from "./pose";

const FELT_JOINTS = 22;
const POSE_COUNT = 6 * (FELT_JOINTS - 1) + 3;
const QUICK_SECONDS = 0.05;
const SWING_SECONDS = 0.3;
const VELOCITY_UNIT = 5;
const ACCELERATION_UNIT = 40;
const ROOT_UNITS = [1, 6, 1];
/** After a gap the past is forgotten: the tab slept, or the time was moved by hand [s]. */
const LONGEST_STEP = 0.25;
/** Columns of the texture that holds the nodes: three texels each. */
export const NODE_COLUMNS = 3;

export class Cloth {
  /** For each node its offset [m] and slope [-], twelve numbers. */
  readonly nodes: Float32Array;
  readonly count: number;
  private readonly shapes: Float32Array;
  private readonly weights: Float32Array;
  private readonly anchor: Float32Array;
  private readonly neighbors: ArrayLike<number>;
  private readonly gains: Float32Array;
  private readonly around: number;
  private readonly offsets: Float32Array;
  private readonly features: Float32Array;
  private readonly rates = new Rates();

  constructor(asset: Asset) {
    this.shapes = asset.real("cloth_shapes");
    this.weights = asset.real("cloth_weights");
    this.anchor = asset.real("cloth_anchor");
    this.neighbors = asset.tensors.get("cloth_neighbors");
    this.gains = asset.real("cloth_gains");
    this.count = this.shapes.length / this.anchor.length / 3;
    this.around = this.neighbors.length / this.count;
    this.offsets = new Float32Array(3 * this.count);
    this.nodes = new Float32Array(12 * this.count);
    this.features = new Float32Array(this.weights.length / this.anchor.length);
  }

  /** Go on to a pose; `seconds` since the last, or null where nothing is known of the past. */
  move(turns: Float32Array, pose: Pose, seconds: number | null): void {
    this.describe(turns);
    if (this.features.length > POSE_COUNT)
      this.rates.describe(turns, pose.transl, seconds, this.features);
    this.mix();
    this.slope();
  }

  private describe(turns: Float32Array): void {
    const { features } = this;
    for (let j = 1; j < FELT_JOINTS; j++)
      for (let k = 0; k < 6; k++)
        features[6 * (j - 1) + k] = turns[9 * j + k]! - (k === 0 || k === 4 ? 1 : 0);
    for (let k = 0; k < 3; k++) features[POSE_COUNT - 3 + k] = -turns[3 + k]!;
  }

  private mix(): void {
    const { offsets, shapes, weights, features } = this;
    const width = features.length;
    offsets.fill(0);
    for (let r = 0; r < this.anchor.length; r++) {
      let share = -this.anchor[r]!;
      for (let f = 0; f < width; f++) share += weights[r * width + f]! * features[f]!;
      const from = r * offsets.length;
      for (let i = 0; i < offsets.length; i++) offsets[i]! += share * shapes[from + i]!;
    }
  }

  /** How offsets change along the surface, which turns and stretches what lies there. */
  private slope(): void {
    const { nodes, offsets, neighbors, gains, around } = this;
    nodes.fill(0);
    for (let i = 0; i < this.count; i++) {
      const o = 12 * i;
      for (let axis = 0; axis < 3; axis++) nodes[o + axis] = offsets[3 * i + axis]!;
      for (let m = 0; m < around; m++) {
        const from = 3 * neighbors[i * around + m]!;
        const g = 3 * (i * around + m);
        for (let axis = 0; axis < 3; axis++) {
          const apart = offsets[from + axis]! - offsets[3 * i + axis]!;
          for (let k = 0; k < 3; k++) nodes[o + 3 + 3 * axis + k]! += apart * gains[g + k]!;
        }
      }
    }
  }
}

/** How fast joints and pelvis move, as means of the past with two time constants. */
class Rates {
  private last: { turns: Float32Array; place: Float32Array } | null = null;
  private readonly quick = new Float32Array(3 * (FELT_JOINTS + 1));
  private readonly swing = new Float32Array(3 * (FELT_JOINTS + 1));

  describe(
    turns: Float32Array, place: Float32Array, seconds: number | null, out: Float32Array,
  ): void {
    const count = 3 * FELT_JOINTS;
    const rest = seconds === null || seconds <= 0 || seconds > LONGEST_STEP || this.last === null;
    const change = new Float32Array(count + 3);
    if (rest) {
      this.quick.fill(0);
      this.swing.fill(0);
    } else {
      const now = this.speeds(turns, place, seconds);
      const toQuick = 1 - Math.exp(-seconds / QUICK_SECONDS);
      const toSwing = 1 - Math.exp(-seconds / SWING_SECONDS);
      for (let i = 0; i < now.length; i++) {
        this.quick[i]! += toQuick * (now[i]! - this.quick[i]!);
        this.swing[i]! += toSwing * (now[i]! - this.swing[i]!);
        change[i] = (now[i]! - this.quick[i]!) / QUICK_SECONDS;
      }
    }
    this.last = { turns: turns.slice(0, 9 * FELT_JOINTS), place: place.slice() };
    const sources = [this.quick, change, this.swing];
    const units = [VELOCITY_UNIT, ACCELERATION_UNIT, VELOCITY_UNIT];
    sources.forEach((source, s) => {
      for (let i = 0; i < count; i++) out[POSE_COUNT + s * count + i] = source[i]! / units[s]!;
      for (let k = 0; k < 3; k++)
        out[POSE_COUNT + 3 * count + 3 * s + k] = source[count + k]! / ROOT_UNITS[s]!;
    });
  }

  private speeds(turns: Float32Array, place: Float32Array, seconds: number): Float32Array {
    const now = new Float32Array(3 * (FELT_JOINTS + 1));
    const last = this.last!;
    for (let j = 0; j < FELT_JOINTS; j++) {
      const spun = turnBetween(last.turns, 9 * j, turns, 9 * j);
      for (let k = 0; k < 3; k++) now[3 * j + k] = spun[k]! / seconds;
    }
    // The pelvis's way, as felt by who is turned with it.
    for (let k = 0; k < 3; k++)
      for (let row = 0; row < 3; row++)
        now[3 * FELT_JOINTS + k]! +=
          (turns[3 * row + k]! * (place[row]! - last.place[row]!)) / seconds;
    return now;
  }
}
