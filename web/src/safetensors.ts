/** Read a safetensors file: named arrays behind a JSON header of their places. */

export type Numbers =
  | Float32Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array;

const KINDS = {
  F32: Float32Array,
  U8: Uint8Array,
  I8: Int8Array,
  U16: Uint16Array,
  I16: Int16Array,
} as const;

interface Entry {
  dtype: keyof typeof KINDS;
  shape: number[];
  data_offsets: [number, number];
}

export class Tensors {
  private constructor(
    private readonly arrays: Map<string, Numbers>,
    private readonly shapes: Map<string, number[]>,
    /** What the file says of itself. */
    readonly head: Record<string, unknown>,
  ) {}

  static parse(data: ArrayBuffer): Tensors {
    const length = Number(new DataView(data).getBigUint64(0, true));
    if (length > data.byteLength - 8) throw new Error("The file is cut short.");
    const text = new TextDecoder().decode(new Uint8Array(data, 8, length));
    const { __metadata__: metadata, ...entries } = JSON.parse(text) as {
      __metadata__?: { head?: string };
    } & Record<string, unknown>;
    const arrays = new Map<string, Numbers>();
    const shapes = new Map<string, number[]>();
    for (const [name, entry] of Object.entries(entries as Record<string, Entry>)) {
      const kind = KINDS[entry.dtype];
      if (kind === undefined) throw new Error(`${name} is of an unknown type.`);
      const [start, end] = entry.data_offsets;
      const bytes = data.slice(8 + length + start, 8 + length + end);
      arrays.set(name, new kind(bytes));
      shapes.set(name, entry.shape);
    }
    const head = JSON.parse(metadata?.head ?? "{}") as Record<string, unknown>;
    return new Tensors(arrays, shapes, head);
  }

  has(name: string): boolean {
    return this.arrays.has(name);
  }

  get(name: string): Numbers {
    const found = this.arrays.get(name);
    if (found === undefined) throw new Error(`The file holds no ${name}.`);
    return found;
  }

  shape(name: string): number[] {
    return this.shapes.get(name) ?? [];
  }

  /** Undo the rounding: low + step * integer, by column. */
  real(name: string, scale: { low: number[]; step: number[] } | undefined): Float32Array {
    const kept = this.get(name);
    if (scale === undefined) return Float32Array.from(kept);
    const { low, step } = scale;
    const out = new Float32Array(kept.length);
    for (let i = 0; i < out.length; i++) {
      const column = i % low.length;
      out[i] = low[column]! + step[column]! * kept[i]!;
    }
    return out;
  }
}
