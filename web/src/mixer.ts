/** What the person does now: a motion, what sliders add, and a live pose that takes over. */

import { multiplyQuaternions, quaternionOf } from "./algebra";
import { blendPoses, mirrorPose, restPose, type Motion, type Pose } from "./pose";

/** From one motion to the next [s]. */
const CROSSFADE_SECONDS = 0.4;
/** A live pose that is older is lost; the person eases back [s]. */
const LOST_SECONDS = 0.7;
const EASE_SECONDS = 0.6;

export class Mixer {
  /** Where in the motion [s]. */
  time = 0;
  speed = 1;
  playing = true;
  /** Whether motions change left and right. */
  mirrored = false;
  /** Whether live poses do, as a mirror shows them. */
  liveMirrored = false;
  /** Added turns of the joints, axis-angle [rad]. */
  readonly turned = new Float32Array(165);
  /** Added expression. */
  readonly smiled: Float32Array;
  /** Added turn of the jaw about x [rad]. */
  jaw = 0;
  /** How much the live pose has its say, 0 to 1. */
  liveShare = 0;
  private motion: Motion | null = null;
  private before: { pose: Pose; since: number } | null = null;
  private live: { pose: Pose; at: number } | null = null;
  private lastBase: Pose;

  constructor(private readonly expressions: number, private readonly mirror: number[]) {
    this.smiled = new Float32Array(expressions);
    this.lastBase = restPose(expressions);
  }

  get current(): Motion | null {
    return this.motion;
  }

  play(motion: Motion): void {
    this.before = this.motion ? { pose: this.lastBase, since: 0 } : null;
    this.motion = motion;
    this.time = 0;
    this.playing = true;
  }

  takeLive(pose: Pose, now: number): void {
    this.live = { pose, at: now };
  }

  /** Go on by some seconds at a clock of `now` [s], and give the pose. */
  step(seconds: number, now: number): Pose {
    if (this.playing) this.time += seconds * this.speed;
    this.lastBase = this.base(this.playing ? seconds : 0);
    const base = this.mirrored ? mirrorPose(this.lastBase, this.mirror) : this.lastBase;
    const fresh = this.live !== null && now - this.live.at < LOST_SECONDS;
    const wanted = fresh ? 1 : 0;
    const step = seconds / EASE_SECONDS;
    this.liveShare += Math.max(-step, Math.min(step, wanted - this.liveShare));
    let pose = base;
    if (this.live && this.liveShare > 0) {
      const share = this.liveShare * this.liveShare * (3 - 2 * this.liveShare);
      const live = this.liveMirrored ? mirrorPose(this.live.pose, this.mirror) : this.live.pose;
      pose = share >= 1 ? live : blendPoses(base, live, share);
    }
    return this.adjusted(pose);
  }

  private base(seconds: number): Pose {
    const pose = this.motion ? this.motion.at(this.time) : restPose(this.expressions);
    if (!this.before) return pose;
    this.before.since += seconds;
    const share = this.before.since / CROSSFADE_SECONDS;
    if (share >= 1) {
      this.before = null;
      return pose;
    }
    return blendPoses(this.before.pose, pose, share * share * (3 - 2 * share));
  }

  private adjusted(pose: Pose): Pose {
    const out: Pose = {
      turns: pose.turns.slice(), transl: pose.transl, expression: pose.expression.slice(),
    };
    const more = new Float32Array(4);
    for (let j = 0; j < 55; j++) {
      const x = this.turned[3 * j]! + (j === 22 ? this.jaw : 0);
      const y = this.turned[3 * j + 1]!, z = this.turned[3 * j + 2]!;
      if (x === 0 && y === 0 && z === 0) continue;
      quaternionOf(x, y, z, more, 0);
      multiplyQuaternions(out.turns, 4 * j, more, 0, out.turns, 4 * j);
    }
    for (let e = 0; e < this.expressions; e++) out.expression[e]! += this.smiled[e]!;
    return out;
  }
}
