/** Bend the body: bones from joint rotations, and the flesh that expressions and joints move. */

import { matrixOf } from "./algebra";
import type { Asset } from "./asset";
import type { Pose } from "./pose";

export const JOINTS = 55;
/** Columns of the texture that holds the flesh; rows follow. */
export const FLESH_WIDTH = 256;

export class Body {
  /** Rotations of all joints, nine numbers each, of the last pose bent. */
  readonly turns = new Float32Array(9 * JOINTS);
  /** Rows of the maps from rest to world, twelve numbers a bone. */
  readonly bones = new Float32Array(12 * JOINTS);
  /** Added to the rest vertices [m], four numbers each. */
  readonly flesh: Float32Array;
  readonly fleshRows: number;
  /** Where joints went [m]. */
  readonly places = new Float32Array(3 * JOINTS);
  private readonly parents: number[];
  private readonly restJoints: Float32Array;
  private readonly jointDirs: Float32Array;
  private readonly smileVertices: ArrayLike<number>;
  private readonly smiles: Float32Array;
  private readonly bulgeJoints: ArrayLike<number>;
  private readonly bulgeVertices: ArrayLike<number>;
  private readonly bulges: Float32Array;
  private readonly width: number;

  constructor(asset: Asset) {
    const { tensors } = asset;
    this.parents = asset.head.parents;
    this.width = asset.expressionCount;
    this.restJoints = asset.real("rest_joints");
    this.jointDirs = asset.real("joint_dirs");
    this.smileVertices = tensors.get("expression_vertices");
    this.smiles = asset.real("expression_dirs");
    this.bulgeJoints = tensors.get("corrective_joints");
    this.bulgeVertices = tensors.get("corrective_vertices");
    this.bulges = asset.real("corrective_dirs");
    const corners = tensors.get("corners");
    let last = 0;
    for (let i = 0; i < corners.length; i++) last = Math.max(last, corners[i]!);
    this.fleshRows = Math.ceil((last + 1) / FLESH_WIDTH);
    this.flesh = new Float32Array(4 * FLESH_WIDTH * this.fleshRows);
  }

  bend(pose: Pose): void {
    for (let j = 0; j < JOINTS; j++) matrixOf(pose.turns, 4 * j, this.turns, 9 * j);
    this.bendBones(pose);
    this.bendFlesh(pose.expression);
  }

  /** Each joint turns about its own rest place, then follows its parent. */
  private bendBones(pose: Pose): void {
    const { bones, turns, restJoints, jointDirs, width, places } = this;
    const joint = new Float32Array(3);
    for (let j = 0; j < JOINTS; j++) {
      for (let axis = 0; axis < 3; axis++) {
        let at = restJoints[3 * j + axis]!;
        for (let e = 0; e < width; e++)
          at += jointDirs[(3 * j + axis) * width + e]! * pose.expression[e]!;
        joint[axis] = at;
      }
      const parent = this.parents[j]!;
      for (let row = 0; row < 3; row++) {
        const o = 12 * j + 4 * row;
        const p = 12 * parent + 4 * row;
        let shift = parent < 0 ? pose.transl[row]! + joint[row]! : bones[p + 3]!;
        if (parent >= 0) for (let k = 0; k < 3; k++) shift += bones[p + k]! * joint[k]!;
        places[3 * j + row] = shift;
        for (let column = 0; column < 3; column++) {
          let sum = 0;
          if (parent < 0) sum = turns[9 * j + 3 * row + column]!;
          else
            for (let k = 0; k < 3; k++) sum += bones[p + k]! * turns[9 * j + 3 * k + column]!;
          bones[o + column] = sum;
          shift -= sum * joint[column]!;
        }
        bones[o + 3] = shift;
      }
    }
  }

  private bendFlesh(expression: Float32Array): void {
    const { flesh, smiles, bulges, width, turns } = this;
    flesh.fill(0);
    if (expression.some((value) => value !== 0))
      for (let i = 0; i < this.smileVertices.length; i++)
        for (let axis = 0; axis < 3; axis++) {
          let sum = 0;
          for (let e = 0; e < width; e++)
            sum += smiles[(3 * i + axis) * width + e]! * expression[e]!;
          flesh[4 * this.smileVertices[i]! + axis]! += sum;
        }
    for (let i = 0; i < this.bulgeJoints.length; i++) {
      const t = 9 * this.bulgeJoints[i]!;
      const o = 4 * this.bulgeVertices[i]!;
      for (let axis = 0; axis < 3; axis++) {
        const b = 27 * i + 9 * axis;
        let sum = -bulges[b]! - bulges[b + 4]! - bulges[b + 8]!;
        for (let k = 0; k < 9; k++) sum += bulges[b + k]! * turns[t + k]!;
        flesh[o + axis]! += sum;
      }
    }
  }
}
