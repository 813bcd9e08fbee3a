/** Where the page gets things from: the server that serves it, or the file that it is. */

export interface Start {
  name: string;
  motions: string[];
  /** Whether a photo can be had. */
  photo: boolean;
  /** UDP port on which VMC is heard; null where it is not. */
  vmc: number | null;
  /** Whether the server can follow a webcam. */
  webcam: boolean;
  /** Who draws: the page itself, or the server, which sends pictures. */
  render: "browser" | "server";
  /** Provenance and licences. */
  notice: string[];
}

export interface Source {
  start: Start;
  /** Whether there is a server to parse files and to send live poses. */
  live: boolean;
  asset(): Promise<ArrayBuffer>;
  motion(name: string): Promise<ArrayBuffer>;
  parse(file: File): Promise<ArrayBuffer>;
  photo(): Promise<Blob>;
  worker(): Worker;
}

/** Say what is wrong in the server's words. */
async function checked(answer: Response): Promise<Response> {
  if (answer.ok) return answer;
  const said = await answer.text();
  let text = said;
  if (answer.headers.get("content-type")?.startsWith("application/json")) {
    const refusal = JSON.parse(said) as { what: string; why: string; fix: string };
    text = `${refusal.what}: ${refusal.why}. Try this: ${refusal.fix}.`;
  }
  throw new Error(text || `The server answered ${answer.status}.`);
}

async function fromServer(): Promise<Source> {
  const get = async (path: string) => checked(await fetch(path));
  const start = (await (await get("start.json")).json()) as Start;
  return {
    start,
    live: true,
    asset: async () => (await get("avatar.safetensors")).arrayBuffer(),
    motion: async (name) => (await get(`motion/${encodeURIComponent(name)}`)).arrayBuffer(),
    parse: async (file) =>
      (
        await checked(
          await fetch(`motion?name=${encodeURIComponent(file.name)}`, {
            method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
          }),
        )
      ).arrayBuffer(),
    photo: async () => (await get("photo")).blob(),
    worker: () => new Worker("sorter.js"),
  };
}

/** Undo base64 and gzip of a block of this very file. */
async function block(id: string): Promise<ArrayBuffer> {
  const text = document.getElementById(id)?.textContent;
  if (!text) throw new Error(`This file holds no ${id}.`);
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).arrayBuffer();
}

function fromFile(start: Start): Source {
  return {
    start,
    live: false,
    asset: () => block("persona-asset"),
    motion: (name) => block(`persona-motion-${start.motions.indexOf(name)}`),
    parse: () =>
      Promise.reject(new Error("This page is a single file and reads no motions. Open the avatar with `persona serve` to play your own.")),
    photo: () => Promise.reject(new Error("This file holds no photo.")),
    worker: () => {
      const code = document.getElementById("persona-sorter")!.textContent!;
      return new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    },
  };
}

export function findSource(): Promise<Source> {
  const start = document.getElementById("persona-start")?.textContent;
  return start ? Promise.resolve(fromFile(JSON.parse(start) as Start)) : fromServer();
}
