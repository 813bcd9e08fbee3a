/** Put the page together: load the avatar, wire buttons and keys, start the show. */

import "./style.css";
import { $, complain, HINT_WITHOUT_FILES, hintSoonGone, ICONS, wireCapture } from "./capture";
import { element } from "./controls";
import { Live } from "./live";
import { facePage, livePage, lookPage, motionPage, posePage } from "./pages";
import { Player } from "./player";
import { watch } from "./remote";
import { findSource, type Source } from "./source";
import { Stage } from "./stage";
import { showPages } from "./tabs";


function wireBar(stage: Stage, canvas: HTMLCanvasElement, name: string): () => void {
  const { mixer } = stage;
  const [play, time] = [$("play"), $<HTMLInputElement>("time")];
  wireCapture(canvas, name, () => stage.orbit.reset());
  play.addEventListener("click", () => (mixer.playing = !mixer.playing));
  time.addEventListener("input", () => {
    mixer.playing = false;
    stage.jump(time.valueAsNumber * (mixer.current?.duration ?? 0));
  });
  let shown: boolean | null = null;
  return () => {
    const motion = mixer.current;
    if (shown !== mixer.playing) {
      shown = mixer.playing;
      play.innerHTML = shown ? ICONS.pause : ICONS.play;
      play.ariaLabel = shown ? "Pause" : "Play";
    }
    const label = mixer.liveShare > 0.5 ? "live" : (motion?.name ?? "");
    if ($("playing").textContent !== label) $("playing").textContent = label;
    if (motion) time.value = String((mixer.time / motion.duration) % 1);
  };
}

function wireKeys(stage: Stage, play: (name: string) => void, source: Source): void {
  const keys: Record<string, () => void> = {
    " ": () => (stage.mixer.playing = !stage.mixer.playing),
    ArrowLeft: () => stage.orbit.turn(-0.12, 0),
    ArrowRight: () => stage.orbit.turn(0.12, 0),
    ArrowUp: () => stage.orbit.turn(0, 0.08),
    ArrowDown: () => stage.orbit.turn(0, -0.08),
    "+": () => stage.orbit.zoom(0.9),
    "=": () => stage.orbit.zoom(0.9),
    "-": () => stage.orbit.zoom(1.1),
    r: () => stage.orbit.reset(),
    s: () => $("shoot").click(),
    v: () => $("record").click(),
    f: () => void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  };
  window.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (["INPUT", "SELECT", "BUTTON", "SUMMARY"].includes(target.tagName)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const digit = Number(event.key);
    const name = source.start.motions[digit - 1];
    if (digit > 0 && name) play(name);
    else if (keys[event.key]) keys[event.key]!();
    else return;
    event.preventDefault();
  });
}

function wireDrops(open: (file: File) => void): void {
  const drop = $("drop");
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.hidden = false;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) open(file);
  });
}

function photoBeside(source: Source): (on: boolean) => void {
  const figure = $("photo");
  const image = figure.querySelector("img")!;
  return async (on) => {
    figure.hidden = !on;
    if (!on || image.src) return;
    try {
      image.src = URL.createObjectURL(await source.photo());
    } catch (error) {
      figure.hidden = true;
      complain(error);
    }
  };
}

async function main(): Promise<void> {
  $("message").addEventListener("click", () => ($("message").hidden = true));
  const source = await findSource();
  const { name } = source.start;
  document.title = `${name} · persona`;
  $("title").querySelector("h1")!.textContent = name;
  const canvas = $<HTMLCanvasElement>("view");
  if (source.start.render === "server") return watch(source, canvas);
  const player = new Player(await source.asset(), canvas, source.worker());
  const stage = new Stage(player, source, canvas);

  const play = async (motion: string) => {
    try {
      await stage.playNamed(motion);
      motions.chosen(motion);
    } catch (error) {
      complain(error);
    }
  };
  const open = async (file: File) => {
    try {
      const motion = await stage.playFile(file);
      motions.chosen(motion.name);
    } catch (error) {
      complain(error);
    }
  };
  const motions = motionPage(stage, source, play, open);
  const pages = [
    motions.page, posePage(stage), facePage(stage),
    lookPage(stage, source, canvas, photoBeside(source)),
  ];
  if (source.live) {
    const words = { state: element("p", {}, "Connecting."), server: element("p") };
    const live = new Live((message) => stage.takeLive(message), {
      state: (text) => (words.state.textContent = text),
      server: (text) => (words.server.textContent = text),
    });
    stage.onDrawn = () => live.drawn();
    const mirror = (on: boolean) => (stage.mixer.liveMirrored = on);
    pages.push(livePage(source, live, [words.state, words.server], mirror));
    wireDrops(open);
  }
  if (!source.live) $("hint").textContent = HINT_WITHOUT_FILES;
  showPages(pages);
  stage.onFrame = wireBar(stage, canvas, name);
  wireKeys(stage, play, source);
  stage.onCount = () => {
    const count = player.asset.count.toLocaleString("en");
    $("facts").textContent =
      `${stage.fps.toFixed(0)} fps · ${count} Gaussians · sorted in ${player.sortMilliseconds.toFixed(1)} ms`;
  };
  await play(source.start.motions[0] ?? "");
  player.setPose(stage.mixer.step(0, 0), null);
  await player.drawExactly(stage.scene());
  $("loading").hidden = true;
  hintSoonGone();
  stage.run();
  // For pages that embed this one, and for tests: docs/serve.md.
  Object.assign(window, { persona: stage });
}

main().catch((error: unknown) => {
  $("loading").hidden = true;
  complain(error, true);
});
