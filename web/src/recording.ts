/** Save what is on the canvas: a picture, or a video while it runs. */

import { download } from "./controls";

const FPS = 30;
const BITS_PER_SECOND = 8_000_000;
const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

export class Recorder {
  private recorder: MediaRecorder | null = null;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly name: string) {}

  get running(): boolean {
    return this.recorder !== null;
  }

  start(): void {
    const type = TYPES.find((one) => window.MediaRecorder?.isTypeSupported(one));
    if (!type) throw new Error("This browser records no video. Chrome and Firefox do.");
    const parts: Blob[] = [];
    const recorder = new MediaRecorder(this.canvas.captureStream(FPS), {
      mimeType: type, videoBitsPerSecond: BITS_PER_SECOND,
    });
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      const ending = type.startsWith("video/mp4") ? "mp4" : "webm";
      download(new Blob(parts, { type }), `${this.name}.${ending}`);
    };
    recorder.start(500);
    this.recorder = recorder;
  }

  stop(): void {
    this.recorder?.stop();
    this.recorder?.stream.getTracks().forEach((track) => track.stop());
    this.recorder = null;
  }

  picture(): void {
    this.canvas.toBlob((blob) => blob && download(blob, `${this.name}.png`), "image/png");
  }
}
