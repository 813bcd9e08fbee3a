/** Buttons that save what is on the canvas, and messages about what went wrong. */

import { Recorder } from "./recording";

const MESSAGE_MILLISECONDS = 9000;
const HINT_MILLISECONDS = 6000;
/** How to move, where files cannot be opened. */
export const HINT_WITHOUT_FILES = "Drag to go round · scroll or pinch to come closer";

export const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export const ICONS = {
  play: '<svg viewBox="0 0 24 24"><path class="solid" d="M8 5v14l11-7z"/></svg>',
  pause: '<svg viewBox="0 0 24 24"><path d="M8 5v14M16 5v14"/></svg>',
  record: '<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="8.5"/><circle class="solid" cx="12" cy="12" r="4.5"/></svg>',
  stop: '<svg viewBox="0 0 24 24"><rect class="solid" x="6" y="6" width="12" height="12" rx="2"/></svg>',
  shoot: '<svg viewBox="0 0 24 24"><path d="M4 8h3l2-3h6l2 3h3v11H4z"/><circle cx="12" cy="13" r="3.5"/></svg>',
  home: '<svg viewBox="0 0 24 24"><path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"/></svg>',
};

/** Let the words on how to move go, once they could be read. */
export function hintSoonGone(): void {
  window.setTimeout(() => $("hint").classList.add("gone"), HINT_MILLISECONDS);
}

let hiding = 0;

/** Say what is wrong; for good where nothing goes on without it. */
export function complain(error: unknown, stays = false): void {
  const message = $("message");
  message.textContent = error instanceof Error ? error.message : String(error);
  message.hidden = false;
  window.clearTimeout(hiding);
  if (!stays) hiding = window.setTimeout(() => (message.hidden = true), MESSAGE_MILLISECONDS);
}

/** Wire the buttons that record, save a picture and look from the front. */
export function wireCapture(canvas: HTMLCanvasElement, name: string, home: () => void): void {
  const recorder = new Recorder(canvas, name);
  const record = $("record");
  $("shoot").innerHTML = ICONS.shoot;
  $("home").innerHTML = ICONS.home;
  record.innerHTML = ICONS.record;
  $("home").addEventListener("click", home);
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
}
