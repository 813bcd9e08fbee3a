/** The running show: each frame take a pose, ask for an order, draw, and keep count. */

import { Motion, poseFrom } from "./pose";
import { Mixer } from "./mixer";
import { Orbit } from "./orbit";
import { Player } from "./player";
import type { Scene } from "./drawing";
import type { LiveMessage } from "./protocol";
import type { Source } from "./source";

export type Quality = "auto" | "low" | "medium" | "high";

const PIXELS: Record<Exclude<Quality, "auto">, number> = { low: 0.6, medium: 1, high: 2 };
/** Below this, `auto` draws fewer pixels; above the other, more [1/s]. */
const SLOW_FPS = 24, QUICK_FPS = 55;
const FEWEST = 0.5, MOST = 2;
/** Steps longer than this were a pause of the tab [s]. */
const LONGEST_STEP = 0.25;
const COUNT_SECONDS = 1;

export class Stage {
  readonly mixer: Mixer;
  readonly orbit: Orbit;
  background: [number[], number[]] | null = [[0.45, 0.44, 0.45], [0.2, 0.19, 0.2]];
  light: number[] | null = null;
  shadow = true;
  follows = true;
  quality: Quality = "auto";
  fps = 0;
  /** Called every second with what was counted. */
  onCount: () => void = () => undefined;
  /** Called every frame. */
  onFrame: () => void = () => undefined;
  /** Called when what came before is on the canvas. */
  onDrawn: () => void = () => undefined;
  private automatic = Math.min(window.devicePixelRatio, 1.5);
  private motions = new Map<string, Motion>();
  private last = 0;
  private counted = { frames: 0, since: 0 };
  private fixed = false;
  private jumped = true;

  constructor(
    readonly player: Player, private readonly source: Source,
    private readonly canvas: HTMLCanvasElement,
  ) {
    this.mixer = new Mixer(player.asset.expressionCount, player.asset.head.mirror);
    this.orbit = new Orbit(canvas, () => undefined);
    new ResizeObserver(() => this.orbit.fit()).observe(canvas.parentElement!);
    this.orbit.fit();
  }

  run(): void {
    requestAnimationFrame((now) => this.frame(now / 1000));
  }

  async playNamed(name: string): Promise<void> {
    let motion = this.motions.get(name);
    if (!motion) {
      motion = new Motion(await this.source.motion(name), this.player.asset.expressionCount);
      this.motions.set(name, motion);
    }
    this.mixer.play(motion);
  }

  async playFile(file: File): Promise<Motion> {
    const motion = new Motion(await this.source.parse(file), this.player.asset.expressionCount);
    this.motions.set(motion.name, motion);
    this.mixer.play(motion);
    return motion;
  }

  takeLive(message: LiveMessage): void {
    const { rotations, transl, expression } = message;
    const width = this.player.asset.expressionCount;
    const pose = poseFrom(rotations, transl, expression, width);
    this.mixer.takeLive(pose, performance.now() / 1000);
  }

  /** Put everything where it is told and stop; for pictures that are compared. */
  async hold(
    axisAngles: number[], transl: number[], expression: number[], scene: Scene,
    size: [number, number],
  ): Promise<void> {
    this.fixed = true;
    [this.canvas.width, this.canvas.height] = size;
    const width = this.player.asset.expressionCount;
    this.player.setPose(poseFrom(axisAngles, transl, expression, width), null);
    await this.player.drawExactly(scene);
  }

  release(): void {
    this.fixed = false;
    this.jumped = true;
  }

  /** The time was moved by hand: clothes forget how fast they were. */
  jump(seconds: number): void {
    this.mixer.time = seconds;
    this.jumped = true;
  }

  private frame(now: number): void {
    requestAnimationFrame((next) => this.frame(next / 1000));
    const seconds = Math.min(now - this.last, LONGEST_STEP);
    this.last = now;
    if (this.fixed || seconds <= 0) return;
    this.count(now);
    this.resize();
    const pose = this.mixer.step(seconds, performance.now() / 1000);
    this.player.setPose(pose, this.jumped ? null : seconds);
    this.jumped = false;
    if (this.follows) this.follow(seconds);
    const scene = this.scene();
    this.player.sort(scene.camera);
    this.player.draw(scene);
    this.onDrawn();
    this.onFrame();
  }

  scene(): Scene {
    return {
      camera: this.orbit.camera(this.canvas.width, this.canvas.height),
      background: this.background,
      light: this.light,
      shadow: this.shadow,
    };
  }

  private follow(seconds: number): void {
    const share = 1 - Math.exp(-4 * seconds);
    const { target } = this.orbit;
    target[0] += share * (this.player.body.places[0]! - target[0]);
    target[2] += share * (this.player.body.places[2]! - target[2]);
  }

  private resize(): void {
    const ratio = this.quality === "auto" ? this.automatic
      : this.quality === "high" ? Math.min(window.devicePixelRatio, PIXELS.high)
      : PIXELS[this.quality];
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (width !== this.canvas.width || height !== this.canvas.height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
  }

  private count(now: number): void {
    this.counted.frames++;
    const passed = now - this.counted.since;
    if (passed < COUNT_SECONDS) return;
    this.fps = this.counted.frames / passed;
    this.counted = { frames: 0, since: now };
    if (passed < 2 * COUNT_SECONDS) {
      const most = Math.min(window.devicePixelRatio, MOST);
      if (this.fps < SLOW_FPS) this.automatic = Math.max(this.automatic * 0.8, FEWEST);
      else if (this.fps > QUICK_FPS) this.automatic = Math.min(this.automatic * 1.1, most);
    }
    this.onCount();
  }
}
