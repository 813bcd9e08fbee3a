/** A pose: 55 rotations as quaternions, a place, an expression; and motions made of them. */

import { blendQuaternions, quaternionOf } from "./algebra";
import { Tensors } from "./safetensors";

const JOINTS = 55;

export interface Pose {
  /** Rotations relative to the parents, wxyz, SMPL-X order. */
  turns: Float32Array;
  /** Added after bending [m]. */
  transl: Float32Array;
  expression: Float32Array;
}

export function restPose(expressions: number): Pose {
  const turns = new Float32Array(4 * JOINTS);
  for (let j = 0; j < JOINTS; j++) turns[4 * j] = 1;
  return { turns, transl: new Float32Array(3), expression: new Float32Array(expressions) };
}

/** Read axis-angles [rad], a place [m] and an expression of any length. */
export function poseFrom(
  axisAngles: ArrayLike<number>, transl: ArrayLike<number>, expression: ArrayLike<number>,
  expressions: number,
): Pose {
  const pose = restPose(expressions);
  for (let j = 0; j < JOINTS; j++)
    quaternionOf(
      axisAngles[3 * j]!, axisAngles[3 * j + 1]!, axisAngles[3 * j + 2]!, pose.turns, 4 * j,
    );
  for (let k = 0; k < 3; k++) pose.transl[k] = transl[k]!;
  for (let k = 0; k < Math.min(expressions, expression.length); k++)
    pose.expression[k] = expression[k]!;
  return pose;
}

/** Blend two poses; 0 gives the first. */
export function blendPoses(a: Pose, b: Pose, share: number): Pose {
  const out = restPose(a.expression.length);
  for (let j = 0; j < JOINTS; j++)
    blendQuaternions(a.turns, 4 * j, b.turns, 4 * j, share, out.turns, 4 * j);
  for (let k = 0; k < 3; k++)
    out.transl[k] = (1 - share) * a.transl[k]! + share * b.transl[k]!;
  for (let k = 0; k < out.expression.length; k++)
    out.expression[k] = (1 - share) * a.expression[k]! + share * b.expression[k]!;
  return out;
}

/** The mirror image: left and right change places. */
export function mirrorPose(pose: Pose, mirror: number[]): Pose {
  const out = restPose(pose.expression.length);
  for (let j = 0; j < JOINTS; j++) {
    const from = 4 * mirror[j]!;
    out.turns[4 * j] = pose.turns[from]!;
    out.turns[4 * j + 1] = pose.turns[from + 1]!;
    out.turns[4 * j + 2] = -pose.turns[from + 2]!;
    out.turns[4 * j + 3] = -pose.turns[from + 3]!;
  }
  out.transl.set([-pose.transl[0]!, pose.transl[1]!, pose.transl[2]!]);
  out.expression.set(pose.expression);
  return out;
}

/** Poses over time. */
export class Motion {
  private readonly frames: Pose[] = [];
  readonly name: string;
  readonly fps: number;
  readonly loops: boolean;

  constructor(data: ArrayBuffer, expressions: number) {
    const tensors = Tensors.parse(data);
    const head = tensors.head as { name: string; fps: number; loops: boolean };
    this.name = head.name;
    this.fps = head.fps;
    this.loops = head.loops;
    const turns = tensors.get("rotations");
    const places = tensors.get("transl");
    const faces = tensors.get("expression");
    const width = tensors.shape("expression")[1] ?? 0;
    for (let t = 0; t < places.length / 3; t++)
      this.frames.push(
        poseFrom(
          turns.subarray(3 * JOINTS * t, 3 * JOINTS * (t + 1)),
          places.subarray(3 * t, 3 * t + 3),
          faces.subarray(width * t, width * (t + 1)),
          expressions,
        ),
      );
  }

  /** Length [s]. */
  get duration(): number {
    return this.frames.length / this.fps;
  }

  /** The pose at a time [s], which wraps around. */
  at(seconds: number): Pose {
    const count = this.frames.length;
    const place = (((seconds * this.fps) % count) + count) % count;
    const first = Math.floor(place) % count;
    const next = this.loops ? (first + 1) % count : Math.min(first + 1, count - 1);
    return blendPoses(this.frames[first]!, this.frames[next]!, place - Math.floor(place));
  }
}
