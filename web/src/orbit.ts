/** A camera that goes round the person: mouse, wheel, fingers and keys. */

import { lookAt, type Vector } from "./algebra";
import type { Camera } from "./drawing";

const HOME = { yaw: 0.28, pitch: 0.06, distance: 3.1 };
/** What the camera looks at at first [m]. */
const MIDDLE = 0.88;
/** Vertical angle of view [rad]: a short telephoto lens, which flatters. */
const FIELD = 0.62;
const CLOSEST = 0.35, FARTHEST = 12;
const STEEPEST = 1.45;
/** Height that must fit at home, with room around [m]. */
const TALL = 2.05, WIDE = 1.25;

export class Orbit {
  yaw = HOME.yaw;
  pitch = HOME.pitch;
  distance = HOME.distance;
  target: Vector = [0, MIDDLE, 0];
  private readonly fingers = new Map<number, { x: number; y: number }>();

  constructor(private readonly canvas: HTMLCanvasElement, private readonly changed: () => void) {
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    for (const name of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(name, (event) => this.fingers.delete(event.pointerId));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(event.deltaY * 0.0012));
      },
      { passive: false },
    );
    canvas.addEventListener("dblclick", () => this.reset());
  }

  reset(): void {
    Object.assign(this, HOME);
    this.target = [this.target[0], MIDDLE, this.target[2]];
    this.fit();
    this.changed();
  }

  /** Step back far enough that a whole person fits the canvas. */
  fit(): void {
    const aspect = this.canvas.clientWidth / Math.max(this.canvas.clientHeight, 1);
    const half = Math.tan(FIELD / 2);
    this.distance = Math.max(TALL / 2 / half, WIDE / 2 / (half * aspect));
  }

  turn(yaw: number, pitch: number): void {
    this.yaw += yaw;
    this.pitch = Math.min(Math.max(this.pitch + pitch, -0.4), STEEPEST);
    this.changed();
  }

  zoom(factor: number): void {
    this.distance = Math.min(Math.max(this.distance * factor, CLOSEST), FARTHEST);
    this.changed();
  }

  pan(right: number, up: number): void {
    const scale = (2 * this.distance * Math.tan(FIELD / 2)) / this.canvas.clientHeight;
    this.target[0] -= right * scale * Math.cos(this.yaw);
    this.target[2] += right * scale * Math.sin(this.yaw);
    this.target[1] = Math.min(Math.max(this.target[1] + up * scale, -0.5), 2.5);
    this.changed();
  }

  /** The camera for a canvas of this many pixels. */
  camera(width: number, height: number): Camera {
    const ring = this.distance * Math.cos(this.pitch);
    const eye: Vector = [
      this.target[0] + ring * Math.sin(this.yaw),
      Math.max(this.target[1] + this.distance * Math.sin(this.pitch), 0.03),
      this.target[2] + ring * Math.cos(this.yaw),
    ];
    const focal = height / 2 / Math.tan(FIELD / 2);
    return { rows: lookAt(eye, this.target), focal, center: [width / 2, height / 2] };
  }

  private drag(event: PointerEvent): void {
    const last = this.fingers.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last.x, dy = event.clientY - last.y;
    if (this.fingers.size === 2) {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)![1];
      const before = Math.hypot(last.x - other.x, last.y - other.y);
      const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      this.zoom(before / Math.max(after, 1));
      this.pan(dx / 2, dy / 2);
    } else if (event.buttons === 2 || event.shiftKey) this.pan(dx, dy);
    else this.turn(-dx * 0.008, dy * 0.006);
    last.x = event.clientX;
    last.y = event.clientY;
  }
}
