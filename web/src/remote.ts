/** The page of a weak machine: the server draws, this shows its pictures and sends the camera. */

import { $, HINT_WITHOUT_FILES, hintSoonGone, wireCapture } from "./capture";
import { choice, element, heading } from "./controls";
import { Live, viewOf } from "./live";
import { Orbit } from "./orbit";
import { aboutLines, livePage } from "./pages";
import type { Source } from "./source";
import { showPages } from "./tabs";

/** Longer side of the pictures that are asked for [px]. */
const SIZES = { small: 360, medium: 540, large: 960 };
const COUNT_MILLISECONDS = 1000;

export function watch(source: Source, canvas: HTMLCanvasElement): void {
  const context = canvas.getContext("2d")!;
  const words = { state: element("p", {}, "Connecting."), server: element("p") };
  let longest = SIZES.medium;
  let shown = 0;

  const show = async (jpeg: Blob) => {
    const picture = await createImageBitmap(jpeg);
    if (canvas.width !== picture.width || canvas.height !== picture.height)
      [canvas.width, canvas.height] = [picture.width, picture.height];
    context.drawImage(picture, 0, 0);
    picture.close();
    shown++;
    if ($("loading").hidden) return;
    $("loading").hidden = true;
    hintSoonGone();
  };
  const voice = {
    state: (text: string) => (words.state.textContent = text),
    server: (text: string) => (words.server.textContent = text),
  };
  const live = new Live(() => undefined, voice, show);
  const look = () => {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const scale = longest / Math.max(width, height);
    const size: [number, number] = [
      Math.max(16, Math.round(width * scale)), Math.max(16, Math.round(height * scale)),
    ];
    live.set({ view: viewOf(orbit.camera(...size), size) });
  };
  const orbit = new Orbit(canvas, look);
  new ResizeObserver(() => {
    orbit.fit();
    look();
  }).observe(canvas.parentElement!);
  orbit.fit();
  look();

  const play = (motion: string) => {
    live.set({ motion });
    $("playing").textContent = motion;
  };
  const motions = choice(source.start.motions, source.start.motions[0] ?? "", play);
  const sizes = choice(["small", "medium", "large"] as const, "medium", (name) => {
    longest = SIZES[name];
    look();
  });
  const page = element(
    "div", { className: "page" }, motions.root, heading("Pictures"), sizes.root,
    heading("About this avatar"), ...aboutLines(source),
  );
  showPages([
    { name: "Motion", root: page }, livePage(source, live, [words.state, words.server], null),
  ]);
  wireCapture(canvas, source.start.name, () => orbit.reset());
  $("play").hidden = true;
  $("time").hidden = true;
  $("playing").textContent = source.start.motions[0] ?? "";
  $("hint").textContent = HINT_WITHOUT_FILES;
  window.setInterval(() => {
    $("facts").textContent = `${shown} pictures a second, drawn by the server`;
    shown = 0;
  }, COUNT_MILLISECONDS);
}
