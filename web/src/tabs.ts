/** The panel: pages behind tabs, one open. */

import { $ } from "./capture";
import { element } from "./controls";
import type { Page } from "./pages";

const NARROW = window.matchMedia("(max-width: 760px)");

export function showPages(pages: Page[]): void {
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
