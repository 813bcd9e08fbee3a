/** The connection over which live poses come, and pictures of the webcam go. */

import { readPicture, readPose, writeAck, writeCamera, type LiveMessage } from "./protocol";
import type { Camera } from "./drawing";

const AGAIN_MILLISECONDS = 1500;
/** Poses that are older do not count as coming. */
const QUIET_MILLISECONDS = 700;
/** Pictures a second and their height: what two cores follow. */
const CAMERA_FPS = 15, CAMERA_HEIGHT = 360, JPEG_QUALITY = 0.8;

/** Tells how the connection is, and what the server says. */
export interface Voice {
  state(text: string): void;
  server(text: string): void;
}

export interface View {
  rows: number[];
  focal: number;
  size: [number, number];
}

export interface Settings {
  smoothing?: number;
  /** Where the server draws: what the person does, and the camera. */
  motion?: string;
  view?: View;
}

export function viewOf(camera: Camera, size: [number, number]): View {
  return { rows: Array.from(camera.rows), focal: camera.focal, size };
}

export class Live {
  private socket: WebSocket | null = null;
  private stream: MediaStream | null = null;
  private timer = 0;
  private sequence = 0;
  private settings: Settings = {};
  /** Numbers of poses that came and are not on the screen yet. */
  private undrawn: number[] = [];
  private lastPose = -Infinity;
  private coming: boolean | null = null;

  /** `onPicture` draws, and is done when the picture is shown. */
  constructor(
    private readonly onPose: (message: LiveMessage) => void, private readonly voice: Voice,
    private readonly onPicture: (jpeg: Blob) => Promise<void> = () => Promise.resolve(),
  ) {
    this.connect();
  }

  /** A frame has been drawn: what came before it is shown, and the server may send more. */
  drawn(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const sequence of this.undrawn) this.socket.send(writeAck(sequence));
    this.undrawn = [];
    const coming = performance.now() - this.lastPose < QUIET_MILLISECONDS;
    if (coming !== this.coming) this.voice.state(coming ? "Poses are coming." : "Waiting for poses.");
    this.coming = coming;
  }

  get filming(): boolean {
    return this.stream !== null;
  }

  set(settings: Settings): void {
    this.settings = { ...this.settings, ...settings };
    this.tell(settings);
  }

  /** Film the person in front; the pictures go to the server on this machine and nowhere else. */
  async film(preview: HTMLVideoElement): Promise<void> {
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Error("This browser gives no camera to this page. Open it as http://127.0.0.1 or http://localhost.");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 640 }, height: { ideal: 480 } }, audio: false,
      });
    } catch (error) {
      const name = (error as DOMException).name;
      const reasons: Record<string, string> = {
        NotAllowedError: "The camera was not allowed. Allow it in the address bar, then start again.",
        NotFoundError: "No camera was found. Plug one in, then start again.",
        NotReadableError: "The camera is used by another program. Close it, then start again.",
      };
      throw new Error(reasons[name] ?? `The camera cannot be used: ${name}.`, { cause: error });
    }
    preview.srcObject = this.stream;
    await preview.play();
    this.tell({ webcam: true });
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d")!;
    this.timer = window.setInterval(() => {
      const { socket } = this;
      if (!socket || socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 0) return;
      if (!preview.videoHeight) return;
      canvas.height = CAMERA_HEIGHT;
      canvas.width = Math.round((CAMERA_HEIGHT * preview.videoWidth) / preview.videoHeight);
      context.drawImage(preview, 0, 0, canvas.width, canvas.height);
      const time = performance.now() / 1000;
      canvas.toBlob(
        async (blob) => {
          if (blob && socket.readyState === WebSocket.OPEN)
            socket.send(writeCamera(this.sequence++, time, await blob.arrayBuffer()));
        },
        "image/jpeg",
        JPEG_QUALITY,
      );
    }, 1000 / CAMERA_FPS);
  }

  stopFilming(): void {
    window.clearInterval(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.tell({ webcam: false });
  }

  private tell(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private connect(): void {
    const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.coming = null;
      this.voice.state("Connected.");
      this.tell(this.settings);
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      if (typeof event.data === "string") {
        this.voice.server((JSON.parse(event.data) as { say: string }).say);
        return;
      }
      const picture = readPicture(event.data);
      if (picture) {
        void this.onPicture(picture.jpeg).then(() => {
          if (socket.readyState === WebSocket.OPEN) socket.send(writeAck(picture.sequence));
        });
        return;
      }
      const message = readPose(event.data);
      if (message === null) return;
      this.undrawn.push(message.sequence);
      this.lastPose = performance.now();
      this.onPose(message);
    };
    socket.onclose = () => {
      this.undrawn = [];
      this.voice.state("The server is away. Trying again.");
      window.setTimeout(() => this.connect(), AGAIN_MILLISECONDS);
    };
    this.socket = socket;
  }
}
