/** Light as nine harmonics of the direction, as persona's `avatar.light` has it. */

const CONSTANT = 0.5 / Math.sqrt(Math.PI);
const LINEAR = Math.sqrt(3 / (4 * Math.PI));
const CROSS = 0.5 * Math.sqrt(15 / Math.PI);
const AXIAL = 0.25 * Math.sqrt(5 / Math.PI);
const GAINS = [1, 2 / 3, 2 / 3, 2 / 3, 0.25, 0.25, 0.25, 0.25, 0.25];
const AMBIENT = 0.3;
const MAX_EXPOSURE = 1.5;
const MIN_SHADE = 0.05;
const PROBE_ROWS = 32;

function harmonics(x: number, y: number, z: number): number[] {
  return [
    CONSTANT, LINEAR * y, LINEAR * z, LINEAR * x, CROSS * x * y, CROSS * y * z,
    AXIAL * (3 * z * z - 1), CROSS * x * z, (CROSS / 2) * (x * x - y * y),
  ];
}

/** Light from everywhere: every surface shows its albedo. */
export function evenLight(): number[] {
  return [1 / CONSTANT, 0, 0, 0, 0, 0, 0, 0, 0];
}

/** A lamp and a bright room, exposed; `toLamp` is a direction in the world, of any length. */
export function lampLight(toLamp: [number, number, number]): number[] {
  const size = Math.max(Math.hypot(...toLamp), 1e-9);
  const [x, y, z] = toLamp.map((value) => value / size) as [number, number, number];
  const even = evenLight();
  const wanted = harmonics(x, y, z).map(
    (value, k) => Math.PI * GAINS[k]! * value + AMBIENT * even[k]!,
  );
  let peak = 0;
  for (let row = 0; row < PROBE_ROWS; row++)
    for (let column = 0; column < 2 * PROBE_ROWS; column++) {
      const polar = ((row + 0.5) / PROBE_ROWS) * Math.PI;
      const around = ((column + 0.5) / PROBE_ROWS) * Math.PI;
      const ring = Math.sin(polar);
      const basis = harmonics(ring * Math.sin(around), Math.cos(polar), ring * Math.cos(around));
      let shade = 0;
      for (let k = 0; k < 9; k++) shade += basis[k]! * wanted[k]!;
      peak = Math.max(peak, shade, MIN_SHADE);
    }
  const mean = wanted[0]! / even[0]!;
  const scale = Math.min(1 / mean, MAX_EXPOSURE / peak);
  return wanted.map((value) => scale * value);
}
