/** Small pieces of the panel: sliders, boxes, rows of buttons. */

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K, more: Partial<HTMLElementTagNameMap[K]> = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), more);
  made.append(...children);
  return made;
}

export interface SliderOptions {
  label: string;
  low: number;
  high: number;
  step?: number;
  value: number;
  show?: (value: number) => string;
  change: (value: number) => void;
}

export interface Slider {
  root: HTMLElement;
  /** Put it somewhere, and tell whoever listens. */
  set(value: number): void;
}

export function slider(options: SliderOptions): Slider {
  const { label, low, high, step = (high - low) / 200, value, change } = options;
  const show = options.show ?? ((number) => number.toFixed(2));
  const output = element("output", { textContent: show(value) });
  const input = element("input", {
    type: "range", min: String(low), max: String(high), step: String(step), ariaLabel: label,
  });
  input.value = String(value);
  const told = () => {
    output.textContent = show(input.valueAsNumber);
    change(input.valueAsNumber);
  };
  input.addEventListener("input", told);
  const root = element("label", { className: "slider" }, element("span", {}, label), output, input);
  return {
    root,
    set: (number) => {
      input.value = String(number);
      told();
    },
  };
}

export function check(
  label: string, checked: boolean, change: (on: boolean) => void,
): { root: HTMLElement; input: HTMLInputElement } {
  const input = element("input", { type: "checkbox", checked });
  input.addEventListener("change", () => change(input.checked));
  return { root: element("label", { className: "check" }, input, label), input };
}

/** Buttons of which one is chosen. */
export function choice<T extends string>(
  names: readonly T[], chosen: T, change: (name: T) => void,
): { root: HTMLElement; set: (name: string) => void } {
  const root = element("div", { className: "chips" });
  const set = (name: string) => {
    for (const button of root.children)
      button.setAttribute("aria-pressed", String(button.textContent === name));
  };
  for (const name of names) {
    const button = element("button", { textContent: name, title: name });
    button.addEventListener("click", () => {
      set(name);
      change(name);
    });
    root.append(button);
  }
  set(chosen);
  return { root, set };
}

export function heading(text: string): HTMLElement {
  return element("h2", {}, text);
}

export function note(...parts: (Node | string)[]): HTMLElement {
  return element("p", {}, ...parts);
}

export function download(blob: Blob, name: string): void {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
