/** The pages of the panel: motion, pose, face, look, live. */

import { complain } from "./capture";
import { check, choice, element, heading, note, slider, type Slider } from "./controls";
import { evenLight, lampLight } from "./light";
import type { Live } from "./live";
import type { Source } from "./source";
import type { Quality, Stage } from "./stage";

export interface Page {
  name: string;
  root: HTMLElement;
}

const DEGREE = Math.PI / 180;
const degrees = (value: number) => `${Math.round(value)}°`;
const percent = (value: number) => `${Math.round(100 * value)} %`;

export function motionPage(
  stage: Stage, source: Source, play: (name: string) => void, open: (file: File) => void,
): { page: Page; chosen: (name: string) => void } {
  const names = choice(source.start.motions, source.start.motions[0] ?? "", play);
  const file = element("input", { type: "file", hidden: true });
  file.addEventListener("change", () => {
    if (file.files?.[0]) open(file.files[0]);
    file.value = "";
  });
  const pick = element("button", { className: "wide", textContent: "Open a motion file" });
  pick.addEventListener("click", () => file.click());
  const speed = slider({
    label: "Speed", low: 0.1, high: 2, step: 0.05, value: 1,
    show: (value) => `${value.toFixed(2)} ×`, change: (value) => (stage.mixer.speed = value),
  });
  const mirror = check("Mirror left and right", false, (on) => (stage.mixer.mirrored = on));
  const root = element("div", { className: "page" }, names.root);
  if (source.live)
    root.append(pick, file, note("AMASS and our own npz, BVH, VRM animation, AMC and more. Or drop it on the picture."));
  root.append(speed.root, mirror.root);
  return { page: { name: "Motion", root }, chosen: names.set };
}

const GROUPS: Record<string, string[]> = {
  "Head and neck": ["head", "neck", "left_eye", "right_eye"],
  Trunk: ["pelvis", "spine1", "spine2", "spine3"],
  "Left arm": ["left_collar", "left_shoulder", "left_elbow", "left_wrist"],
  "Right arm": ["right_collar", "right_shoulder", "right_elbow", "right_wrist"],
  "Left leg": ["left_hip", "left_knee", "left_ankle", "left_foot"],
  "Right leg": ["right_hip", "right_knee", "right_ankle", "right_foot"],
};
const HANDS = { "Left hand": "left", "Right hand": "right" };
const FINGERS = ["thumb", "index", "middle", "ring", "pinky"];

export function posePage(stage: Stage): Page {
  const { joints, limits } = stage.player.asset.head;
  const groups: Record<string, string[]> = { ...GROUPS };
  for (const [name, side] of Object.entries(HANDS))
    groups[name] = FINGERS.flatMap((finger) => [1, 2, 3].map((k) => `${side}_${finger}${k}`));
  const select = element("select", { ariaLabel: "Part of the body" });
  for (const name of Object.keys(groups)) select.append(element("option", {}, name));
  const rows = element("div", { className: "page" });
  const fill = () => {
    rows.replaceChildren();
    for (const joint of groups[select.value]!) {
      const id = joints.indexOf(joint);
      const title = joint.replace(/^(left|right)_/, "").replace(/(\d)$/, " $1");
      rows.append(heading(title));
      ["x", "y", "z"].forEach((axis, k) => {
        const at = 3 * id + k;
        const made = slider({
          label: `about ${axis}`,
          low: limits[0][id]![k]! / DEGREE, high: limits[1][id]![k]! / DEGREE, step: 1,
          value: stage.mixer.turned[at]! / DEGREE, show: degrees,
          change: (value) => (stage.mixer.turned[at] = value * DEGREE),
        });
        rows.append(made.root);
      });
    }
  };
  select.addEventListener("change", fill);
  const reset = element("button", { className: "wide", textContent: "Reset all joints" });
  reset.addEventListener("click", () => {
    stage.mixer.turned.fill(0);
    fill();
  });
  fill();
  const root = element(
    "div", { className: "page" },
    note("Turns joints on top of the motion. Pause to pose a still."), select, rows, reset,
  );
  return { name: "Pose", root };
}

/** What people call it, and the ARKit shapes it is. */
const FACES: Record<string, string[]> = {
  Smile: ["mouthSmileLeft", "mouthSmileRight"],
  "Open mouth": ["jawOpen"],
  "Close eyes": ["eyeBlinkLeft", "eyeBlinkRight"],
  "Raise brows": ["browInnerUp", "browOuterUpLeft", "browOuterUpRight"],
  "Knit brows": ["browDownLeft", "browDownRight"],
  "Kiss": ["mouthPucker"],
  "Round mouth": ["mouthFunnel"],
  "Puff cheeks": ["cheekPuff"],
  "Frown": ["mouthFrownLeft", "mouthFrownRight"],
};

export function facePage(stage: Stage): Page {
  const { asset } = stage.player;
  const { mixer } = stage;
  const width = asset.expressionCount;
  const matrix = asset.real("arkit_matrix");
  const strengths = new Map<string, number>();
  const own = new Float32Array(width);
  const mix = () => {
    mixer.smiled.set(own);
    mixer.jaw = 0;
    for (const [name, strength] of strengths)
      for (const shape of FACES[name]!) {
        const row = asset.head.arkit.indexOf(shape) * (width + 1);
        for (let e = 0; e < width; e++) mixer.smiled[e]! += strength * matrix[row + e]!;
        mixer.jaw += strength * matrix[row + width]!;
      }
  };
  const all: Slider[] = [];
  const keep = (made: Slider) => {
    all.push(made);
    return made.root;
  };
  const root = element("div", { className: "page" });
  if (asset.head.arkit.length)
    for (const name of Object.keys(FACES))
      root.append(
        keep(slider({
          label: name, low: 0, high: 1, value: 0, show: percent,
          change: (value) => {
            strengths.set(name, value);
            mix();
          },
        })),
      );
  const more = element("div", { className: "stack" });
  for (let e = 0; e < width; e++)
    more.append(
      keep(slider({
        label: `Component ${e + 1}`, low: -2, high: 2, value: 0,
        change: (value) => {
          own[e] = value;
          mix();
        },
      })),
    );
  const details = element("details", {}, element("summary", {}, "All components"), more);
  const reset = element("button", { className: "wide", textContent: "Rest the face" });
  reset.addEventListener("click", () => all.forEach((one) => one.set(0)));
  root.append(details, reset);
  return { name: "Face", root };
}

type Backdrop = [number[], number[]] | null;
const BACKDROPS: Record<string, Backdrop> = {
  Studio: [[0.45, 0.44, 0.45], [0.2, 0.19, 0.2]],
  Paper: [[0.97, 0.96, 0.94], [0.84, 0.82, 0.79]],
  White: [[1, 1, 1], [1, 1, 1]],
  Dusk: [[0.42, 0.36, 0.42], [0.11, 0.11, 0.18]],
  Green: [[0, 0.69, 0.25], [0, 0.69, 0.25]],
  Clear: null,
};

function backdrops(stage: Stage, canvas: HTMLCanvasElement): HTMLElement {
  const root = element("div", { className: "swatches" });
  const take = (chosen: HTMLElement, backdrop: Backdrop) => {
    stage.background = backdrop;
    canvas.classList.toggle("clear", backdrop === null);
    for (const child of root.children)
      child.setAttribute("aria-pressed", String(child === chosen));
  };
  const css = (rgb: number[]) => `rgb(${rgb.map((value) => Math.round(255 * value)).join(" ")})`;
  for (const [name, backdrop] of Object.entries(BACKDROPS)) {
    const button = element("button", { title: name, ariaLabel: `Background: ${name}` });
    if (backdrop)
      button.style.background = `radial-gradient(${css(backdrop[0])}, ${css(backdrop[1])})`;
    else button.className = "clear";
    button.addEventListener("click", () => take(button, backdrop));
    root.append(button);
  }
  const color = element("input", { type: "color", value: "#4f6d8a", ariaLabel: "A colour of your own" });
  const own = element("label", { title: "A colour of your own" }, color);
  color.addEventListener("input", () => {
    const rgb = [1, 3, 5].map((at) => parseInt(color.value.slice(at, at + 2), 16) / 255);
    take(own, [rgb, rgb]);
  });
  root.append(own);
  take(root.firstElementChild as HTMLElement, BACKDROPS["Studio"]!);
  return root;
}

export function lookPage(
  stage: Stage, source: Source, canvas: HTMLCanvasElement, beside: (on: boolean) => void,
): Page {
  const lamp = { around: -40, height: 35 };
  const shine = () => {
    const level = Math.cos(lamp.height * DEGREE);
    stage.light = lampLight([
      level * Math.sin(lamp.around * DEGREE), Math.sin(lamp.height * DEGREE),
      level * Math.cos(lamp.around * DEGREE),
    ]);
  };
  const around = slider({
    label: "Lamp, left to right", low: -180, high: 180, step: 1, value: lamp.around, show: degrees,
    change: (value) => {
      lamp.around = value;
      shine();
    },
  });
  const height = slider({
    label: "Lamp, height", low: -30, high: 90, step: 1, value: lamp.height, show: degrees,
    change: (value) => {
      lamp.height = value;
      shine();
    },
  });
  const lamps = element("div", { className: "page", hidden: true }, around.root, height.root);
  const light = choice(["As photo", "Even", "Lamp"] as const, "As photo", (name) => {
    lamps.hidden = name !== "Lamp";
    if (name === "Lamp") shine();
    else stage.light = name === "Even" ? evenLight() : null;
  });
  const quality = choice<Quality>(
    ["auto", "low", "medium", "high"], "auto", (name) => (stage.quality = name),
  );
  const root = element(
    "div", { className: "page" },
    heading("Background"), backdrops(stage, canvas),
    heading("Light"), light.root, lamps,
    check("Shadow on the floor", true, (on) => (stage.shadow = on)).root,
    check("Camera follows", true, (on) => (stage.follows = on)).root,
  );
  if (source.start.photo) root.append(check("Photo beside", false, beside).root);
  root.append(heading("Quality"), quality.root, heading("About this avatar"));
  root.append(...aboutLines(source));
  return { name: "Look", root };
}

export function aboutLines(source: Source): HTMLElement[] {
  return source.start.notice.map((line) => note(line));
}

export function livePage(
  source: Source, live: Live, words: HTMLElement[], mirror: ((on: boolean) => void) | null,
): Page {
  const preview = element("video", { id: "preview", muted: true, playsInline: true, hidden: true });
  const film = element("button", { className: "wide", textContent: "Start the webcam" });
  film.addEventListener("click", async () => {
    if (live.filming) live.stopFilming();
    else
      try {
        await live.film(preview);
      } catch (error) {
        complain(error);
      }
    preview.hidden = !live.filming;
    film.textContent = live.filming ? "Stop the webcam" : "Start the webcam";
  });
  const smoothing = slider({
    label: "Smoothing", low: 0, high: 1, value: 0.5, show: percent,
    change: (value) => live.set({ smoothing: value }),
  });
  const root = element("div", { className: "page" }, ...words, smoothing.root);
  if (mirror) root.append(check("As in a mirror", false, mirror).root);
  root.append(heading("Webcam"));
  if (source.start.webcam)
    root.append(
      film, preview,
      note("Your pictures go to the persona server on this machine, which finds your pose in them and forgets them. Nothing is stored, nothing leaves this computer. Stand so that you are seen from head to feet."),
    );
  else root.append(note("This server does not follow webcams."));
  root.append(heading("Other programs"));
  if (source.start.vmc !== null)
    root.append(note("Send VMC to UDP port ", element("code", {}, String(source.start.vmc)), "."));
  root.append(
    note("From Python: ", element("code", {}, "persona.serving.send_pose(link, pose)"), "."),
  );
  return { name: "Live", root };
}
