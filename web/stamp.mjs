// Writes which sources the page was built from, so that a test can tell when it is stale.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const files = [
  "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "stamp.mjs",
  ...readdirSync("src").map((name) => `src/${name}`),
].sort();
const digest = createHash("sha256");
for (const name of files) {
  digest.update(`${name}\0`);
  digest.update(readFileSync(name));
  digest.update("\0");
}
writeFileSync("../src/persona/export/page/sources.sha256", `${digest.digest("hex")}\n`);
