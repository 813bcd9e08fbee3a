/** An avatar on a canvas: pose it, sort it in a worker, draw it. */

import { Asset } from "./asset";
import { Body } from "./body";
import { Cloth } from "./cloth";
import { Drawing, type Camera, type Scene } from "./drawing";
import { restPose, type Pose } from "./pose";
import { Tensors } from "./safetensors";
import type { SortAsk, SortSetup } from "./sorting";

interface Sorted {
  ids: Uint32Array;
  serial: number;
  milliseconds: number;
}

export class Player {
  readonly asset: Asset;
  readonly body: Body;
  readonly cloth: Cloth | null;
  readonly drawing: Drawing;
  pose: Pose;
  /** What sorting took last [ms]. */
  sortMilliseconds = 0;
  private readonly worker: Worker;
  private spare: Uint32Array | null;
  private asked = 0;
  private answered = 0;
  private waiting = new Map<number, () => void>();

  constructor(data: ArrayBuffer, canvas: HTMLCanvasElement, worker: Worker) {
    this.asset = new Asset(Tensors.parse(data));
    this.body = new Body(this.asset);
    this.cloth = this.asset.tensors.has("cloth_shapes") ? new Cloth(this.asset) : null;
    this.drawing = new Drawing(canvas, this.asset, this.body, this.cloth);
    this.pose = restPose(this.asset.expressionCount);
    this.worker = worker;
    this.spare = new Uint32Array(this.asset.count);
    const { tensors } = this.asset;
    const shorts = (name: string) => tensors.get(name) as Uint16Array;
    const setup: SortSetup = {
      kind: "setup",
      count: this.asset.count,
      means: this.asset.real("means"),
      boneIds: tensors.get("bone_ids") as Uint8Array,
      boneWeights: shorts("bone_weights"),
      corners: shorts("corners"),
      cornerShares: shorts("corner_shares"),
      holders: this.cloth ? shorts("cloth_holders") : null,
      holderShares: this.cloth ? shorts("cloth_shares") : null,
    };
    worker.postMessage(setup);
    worker.onmessage = (event: MessageEvent<Sorted>) => this.takeOrder(event.data);
  }

  /** Go on to a pose; `seconds` since the last one, null after a jump. */
  setPose(pose: Pose, seconds: number | null): void {
    this.pose = pose;
    this.body.bend(pose);
    this.cloth?.move(this.body.turns, pose, seconds);
    this.drawing.setPose();
  }

  /** Ask for a new order unless one is on its way. */
  sort(camera: Camera): void {
    if (this.answered === this.asked) this.ask(camera);
  }

  /** Sort for this very pose and camera, then draw. */
  async drawExactly(scene: Scene): Promise<void> {
    const serial = this.ask(scene.camera);
    await new Promise<void>((done) => this.waiting.set(serial, done));
    this.drawing.draw(scene);
  }

  draw(scene: Scene): void {
    this.drawing.draw(scene);
  }

  private ask(camera: Camera): number {
    const r = camera.rows;
    const message: SortAsk = {
      kind: "sort",
      serial: ++this.asked,
      bones: this.body.bones,
      flesh: this.body.flesh,
      nodes: this.cloth?.nodes ?? null,
      view: [r[8]!, r[9]!, r[10]!, r[11]!],
      spare: this.spare,
    };
    const given = this.spare;
    this.spare = null;
    this.worker.postMessage(message, given ? [given.buffer] : []);
    return message.serial;
  }

  private takeOrder(sorted: Sorted): void {
    this.drawing.setOrder(sorted.ids);
    this.spare = sorted.ids;
    this.answered = sorted.serial;
    this.sortMilliseconds = sorted.milliseconds;
    this.waiting.get(sorted.serial)?.();
    this.waiting.delete(sorted.serial);
  }
}
