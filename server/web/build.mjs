// node_modules -> static/graphiql: the files of which /graphiql is made, and `built` once all of them are there.
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";

const FILES = {
  "react.production.min.js": "react/umd/react.production.min.js",
  "react-dom.production.min.js": "react-dom/umd/react-dom.production.min.js",
  "graphiql.min.js": "graphiql/graphiql.min.js",
  "graphiql.min.css": "graphiql/graphiql.min.css",
  "explorer.umd.js": "@graphiql/plugin-explorer/dist/index.umd.js",
  "explorer.css": "@graphiql/plugin-explorer/dist/style.css",
};

const here = (path) => new URL(path, import.meta.url);

await rm(here("static/graphiql"), { recursive: true, force: true });
await mkdir(here("static/graphiql"), { recursive: true });
for (const [name, source] of Object.entries(FILES)) {
  await copyFile(here(`node_modules/${source}`), here(`static/graphiql/${name}`));
}
// make takes this file for the whole folder: a copy that breaks off is made again.
await writeFile(here("static/graphiql/built"), "");
