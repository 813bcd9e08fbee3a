/** Rotations as quaternions (wxyz), matrices row by row, and the camera's frame. */

export type Vector = [number, number, number];

/** Axis-angle [rad] to a quaternion, into out at o. */
export function quaternionOf(x: number, y: number, z: number, out: Float32Array, o: number): void {
  const angle = Math.hypot(x, y, z);
  const s = angle > 1e-8 ? Math.sin(angle / 2) / angle : 0.5;
  out[o] = Math.cos(angle / 2);
  out[o + 1] = s * x;
  out[o + 2] = s * y;
  out[o + 3] = s * z;
}

/** A quaternion to a 3x3 matrix, row by row, into out at o. */
export function matrixOf(q: Float32Array, i: number, out: Float32Array, o: number): void {
  const w = q[i]!, x = q[i + 1]!, y = q[i + 2]!, z = q[i + 3]!;
  out[o] = 1 - 2 * (y * y + z * z);
  out[o + 1] = 2 * (x * y - w * z);
  out[o + 2] = 2 * (x * z + w * y);
  out[o + 3] = 2 * (x * y + w * z);
  out[o + 4] = 1 - 2 * (x * x + z * z);
  out[o + 5] = 2 * (y * z - w * x);
  out[o + 6] = 2 * (x * z - w * y);
  out[o + 7] = 2 * (y * z + w * x);
  out[o + 8] = 1 - 2 * (x * x + y * y);
}

/** Normalised blend along the shorter way: good to a tenth of a degree between near poses. */
export function blendQuaternions(
  a: Float32Array, i: number, b: Float32Array, j: number, share: number,
  out: Float32Array, o: number,
): void {
  const dot = a[i]! * b[j]! + a[i + 1]! * b[j + 1]! + a[i + 2]! * b[j + 2]! + a[i + 3]! * b[j + 3]!;
  const toB = dot < 0 ? -share : share;
  let size = 0;
  for (let k = 0; k < 4; k++) {
    const value = (1 - share) * a[i + k]! + toB * b[j + k]!;
    out[o + k] = value;
    size += value * value;
  }
  const unit = 1 / Math.max(Math.sqrt(size), 1e-9);
  for (let k = 0; k < 4; k++) out[o + k]! *= unit;
}

/** Product a b, into out at o; out may be a. */
export function multiplyQuaternions(
  a: Float32Array, i: number, b: Float32Array, j: number, out: Float32Array, o: number,
): void {
  const aw = a[i]!, ax = a[i + 1]!, ay = a[i + 2]!, az = a[i + 3]!;
  const bw = b[j]!, bx = b[j + 1]!, by = b[j + 2]!, bz = b[j + 3]!;
  out[o] = aw * bw - ax * bx - ay * by - az * bz;
  out[o + 1] = aw * bx + ax * bw + ay * bz - az * by;
  out[o + 2] = aw * by - ax * bz + ay * bw + az * bx;
  out[o + 3] = aw * bz + ax * by - ay * bx + az * bw;
}

/** The rotation vector of the 3x3 matrix A^T B [rad]. */
export function turnBetween(a: Float32Array, i: number, b: Float32Array, j: number): Vector {
  const r = new Float32Array(9);
  for (let row = 0; row < 3; row++)
    for (let column = 0; column < 3; column++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += a[i + 3 * k + row]! * b[j + 3 * k + column]!;
      r[3 * row + column] = sum;
    }
  const x = r[7]! - r[5]!, y = r[2]! - r[6]!, z = r[3]! - r[1]!;
  const sine = Math.hypot(x, y, z);
  const angle = Math.atan2(sine, r[0]! + r[4]! + r[8]! - 1);
  const scale = sine > 1e-9 ? angle / sine : 0.5;
  return [scale * x, scale * y, scale * z];
}

/** T_camera_world, row by row (x right, y down, z forward), of an eye that looks at a target. */
export function lookAt(eye: Vector, target: Vector): Float32Array {
  const forward = unit([target[0] - eye[0], target[1] - eye[1], target[2] - eye[2]]);
  const right = unit([-forward[2], 0, forward[0]]);
  const down = cross(forward, right);
  const rows = [right, down, forward];
  const out = new Float32Array(12);
  rows.forEach((row, k) => {
    out.set(row, 4 * k);
    out[4 * k + 3] = -(row[0] * eye[0] + row[1] * eye[1] + row[2] * eye[2]);
  });
  return out;
}

function unit(v: Vector): Vector {
  const size = Math.max(Math.hypot(...v), 1e-9);
  return [v[0] / size, v[1] / size, v[2] / size];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
