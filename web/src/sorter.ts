/** The worker that orders Gaussians from far to near, so that the page never waits for it. */

import { Order, type SortAsk, type SortSetup } from "./sorting";

let order: Order | null = null;

self.onmessage = (event: MessageEvent<SortSetup | SortAsk>) => {
  const message = event.data;
  if (message.kind === "setup") {
    order = new Order(message);
    return;
  }
  if (order === null) return;
  const start = performance.now();
  const ids = order.sort(message);
  self.postMessage(
    { ids, serial: message.serial, milliseconds: performance.now() - start },
    { transfer: [ids.buffer] },
  );
};
