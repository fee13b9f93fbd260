// Takes from the installed packages what the page loads: `npm ci && npm run build`.
import { copyFileSync, mkdirSync } from "node:fs";

const here = new URL("./", import.meta.url);
mkdirSync(new URL("vendor/", here), { recursive: true });
copyFileSync(
  new URL("node_modules/@niivue/niivue/dist/index.js", here),
  new URL("vendor/niivue.js", here),
);
