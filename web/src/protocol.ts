/** Messages between page and server, byte by byte; docs/serve.md is the schema. */

export const KIND = { pose: 1, ack: 2, camera: 3, picture: 4 } as const;
const HEADER = 16;
const JOINT_NUMBERS = 165;

export interface LiveMessage {
  sequence: number;
  /** Seconds on the sender's clock. */
  time: number;
  rotations: Float32Array;
  transl: Float32Array;
  expression: Float32Array;
}

export function readPose(data: ArrayBuffer): LiveMessage | null {
  const view = new DataView(data);
  const numbers = (data.byteLength - HEADER) / 4;
  if (data.byteLength < HEADER || view.getUint32(0, true) !== KIND.pose) return null;
  if (!Number.isInteger(numbers) || numbers < JOINT_NUMBERS + 3) return null;
  const floats = new Float32Array(data.slice(HEADER));
  return {
    sequence: view.getUint32(4, true),
    time: view.getFloat64(8, true),
    rotations: floats.subarray(0, JOINT_NUMBERS),
    transl: floats.subarray(JOINT_NUMBERS, JOINT_NUMBERS + 3),
    expression: floats.subarray(JOINT_NUMBERS + 3),
  };
}

/** Read a picture that the server drew: its number and its JPEG. */
export function readPicture(data: ArrayBuffer): { sequence: number; jpeg: Blob } | null {
  const view = new DataView(data);
  if (data.byteLength <= HEADER || view.getUint32(0, true) !== KIND.picture) return null;
  const jpeg = new Blob([data.slice(HEADER)], { type: "image/jpeg" });
  return { sequence: view.getUint32(4, true), jpeg };
}

export function writeAck(sequence: number): ArrayBuffer {
  const data = new ArrayBuffer(8);
  const view = new DataView(data);
  view.setUint32(0, KIND.ack, true);
  view.setUint32(4, sequence, true);
  return data;
}

/** A picture of the webcam, as JPEG. */
export function writeCamera(sequence: number, time: number, jpeg: ArrayBuffer): ArrayBuffer {
  const data = new ArrayBuffer(HEADER + jpeg.byteLength);
  const view = new DataView(data);
  view.setUint32(0, KIND.camera, true);
  view.setUint32(4, sequence, true);
  view.setFloat64(8, time, true);
  new Uint8Array(data, HEADER).set(new Uint8Array(jpeg));
  return data;
}
