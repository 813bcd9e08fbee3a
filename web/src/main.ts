/** Put the page together: load the avatar, wire buttons and keys, start the show. */

import "./style.css";
import { element } from "./controls";
import { Live } from "./live";
import { facePage, livePage, lookPage, motionPage, posePage, type Page } from "./pages";
import { Player } from "./player";
import { Recorder } from "./recording";
import { findSource, type Source } from "./source";
import { Stage } from "./stage";

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const NARROW = window.matchMedia("(max-width: 760px)");
const MESSAGE_MILLISECONDS = 9000;
const HINT_MILLISECONDS = 6000;

const ICONS = {
  play: '<svg viewBox="0 0 24 24"><path class="solid" d="M8 5v14l11-7z"/></svg>',
  pause: '<svg viewBox="0 0 24 24"><path d="M8 5v14M16 5v14"/></svg>',
  record: '<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="8.5"/><circle class="solid" cx="12" cy="12" r="4.5"/></svg>',
  stop: '<svg viewBox="0 0 24 24"><rect class="solid" x="6" y="6" width="12" height="12" rx="2"/></svg>',
  shoot: '<svg viewBox="0 0 24 24"><path d="M4 8h3l2-3h6l2 3h3v11H4z"/><circle cx="12" cy="13" r="3.5"/></svg>',
  home: '<svg viewBox="0 0 24 24"><path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"/></svg>',
};

let hiding = 0;
function complain(error: unknown): void {
  const message = $("message");
  message.textContent = error instanceof Error ? error.message : String(error);
  message.hidden = false;
  window.clearTimeout(hiding);
  hiding = window.setTimeout(() => (message.hidden = true), MESSAGE_MILLISECONDS);
}

function showPages(pages: Page[]): void {
  const tabs = $("tabs");
  const panel = $("panel");
  const buttons = pages.map((page) => {
    const button = element("button", { role: "tab", textContent: page.name });
    page.root.hidden = true;
    page.root.setAttribute("role", "tabpanel");
    page.root.ariaLabel = page.name;
    $("pages").append(page.root);
    tabs.append(button);
    return button;
  });
  const open = (chosen: number) => {
    const again = buttons[chosen]!.ariaSelected === "true" && !panel.classList.contains("closed");
    // On a phone the picture needs the room: a second tap puts the page away.
    panel.classList.toggle("closed", again && NARROW.matches);
    pages.forEach((page, k) => {
      page.root.hidden = k !== chosen;
      buttons[k]!.ariaSelected = String(k === chosen && !panel.classList.contains("closed"));
    });
  };
  buttons.forEach((button, k) => button.addEventListener("click", () => open(k)));
  open(0);
  if (NARROW.matches) open(0);
}

function wireBar(stage: Stage, name: string): { sync: () => void; recorder: Recorder } {
  const { mixer } = stage;
  const recorder = new Recorder($<HTMLCanvasElement>("view"), name);
  const [play, record, time] = [$("play"), $("record"), $<HTMLInputElement>("time")];
  $("shoot").innerHTML = ICONS.shoot;
  $("home").innerHTML = ICONS.home;
  record.innerHTML = ICONS.record;
  play.addEventListener("click", () => (mixer.playing = !mixer.playing));
  $("home").addEventListener("click", () => stage.orbit.reset());
  $("shoot").addEventListener("click", () => recorder.picture());
  record.addEventListener("click", () => {
    try {
      if (recorder.running) recorder.stop();
      else recorder.start();
    } catch (error) {
      complain(error);
    }
    record.innerHTML = recorder.running ? ICONS.stop : ICONS.record;
    record.setAttribute("aria-pressed", String(recorder.running));
  });
  time.addEventListener("input", () => {
    mixer.playing = false;
    stage.jump(time.valueAsNumber * (mixer.current?.duration ?? 0));
  });
  let shown: boolean | null = null;
  const sync = () => {
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
  return { sync, recorder };
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
    pages.push(livePage(stage, source, live, complain, [words.state, words.server]));
    wireDrops(open);
  }
  showPages(pages);
  const { sync } = wireBar(stage, name);
  wireKeys(stage, play, source);
  stage.onFrame = sync;
  stage.onCount = () => {
    const count = player.asset.count.toLocaleString("en");
    $("facts").textContent =
      `${stage.fps.toFixed(0)} fps · ${count} Gaussians · sorted in ${player.sortMilliseconds.toFixed(1)} ms`;
  };
  await play(source.start.motions[0] ?? "");
  player.setPose(stage.mixer.step(0, 0), null);
  await player.drawExactly(stage.scene());
  $("loading").hidden = true;
  window.setTimeout(() => $("hint").classList.add("gone"), HINT_MILLISECONDS);
  stage.run();
  // For pages that embed this one, and for tests: docs/serve.md.
  Object.assign(window, { persona: stage });
}

main().catch((error: unknown) => {
  $("loading").hidden = true;
  complain(error);
  window.clearTimeout(hiding);
});
