// LMArena's two actions for files: arguments are read and results written by React's own server code.
// node --conditions react-server lmarena.mjs PORT LINKS: LINKS is where links into the storage are made (s3_links.py).
// What it was asked stands at /journal, until somebody deletes it. The header x-fault says what goes wrong (`!failed`).
import { randomUUID } from "node:crypto";
import http from "node:http";
import { decodeReply, renderToPipeableStream } from "react-server-dom-webpack/server";

const [port, links] = process.argv.slice(2);
const PAGE = "/?mode=direct";
const COOKIES = { "arena-auth=ann": "ann", "arena-auth=bob": "bob" };
const files = new Map();
let journal = [];

const link = async (kind, asked) =>
  (await fetch(`${links}/${kind}`, { method: "POST", body: JSON.stringify(asked) })).json();

const actions = {
  // generateUploadUrl
  "40c3aa7e1f0b": async ({ user, fault }, name, type, ...more) => {
    if (typeof name !== "string" || typeof type !== "string" || more.length) throw new Error("Wrong arguments");
    if (fault === "refused") return { success: false, error: "File is too large" };
    if (fault === "proof") return { success: false, error: "recaptcha validation failed" };
    if (fault === "failed") throw new Error("The database is away");
    // As long as a link can be: more than 1024 units.
    const key = `$${user}/${fault === "long" ? "x".repeat(940) : randomUUID()}`;
    files.set(key, { user, name, type });
    const asked = fault === "other-type" ? "application/x-other" : type;
    return {
      success: true,
      data: { uploadUrl: await link("put", { key, media_type: asked, expired: fault === "expired" }), key },
    };
  },
  // getSignedUrl
  "40d91c55e2aa": async ({ user, fault }, key, ...more) => {
    if (more.length) throw new Error("Wrong arguments");
    const file = files.get(key);
    const found = await link("head", { key });
    if (fault === "unsigned") return { success: true, data: {} };
    if (fault === "lost" || file?.user !== user || found?.type !== file.type)
      return { success: false, error: { message: "No such file" } };
    if (fault === "plain") return { success: true, data: { url: `https://files.example/${key}` } };
    return { success: true, data: { url: await link("get", { key, seconds: fault === "brief" ? 20 : 900 }) } };
  },
};

const complaint = ({ method, url, headers }) => {
  if (method !== "POST" || url !== PAGE) return "another page";
  if (headers.accept !== "text/x-component") return "accept";
  if (headers["content-type"] !== "text/plain;charset=UTF-8") return "content-type";
  if (headers.referer !== `http://${headers.host}${PAGE}`) return "referer";
  if (!COOKIES[headers.cookie]) return "cookie";
  if (!headers["content-length"]) return "content-length";
};

// What stands before the action, as somebody else's answer.
const instead = {
  page: [200, "text/html", "<html><title>Arena</title><script src=/recaptcha.js></script></html>"],
  challenge: [403, "text/html", "<html><title>Just a moment...</title></html>"],
  old: [500, "text/plain", "Error: Failed to find Server Action. This request might be from an older deployment."],
  limited: [429, "text/plain", "Too many requests", { "retry-after": "9" }],
  login: [303, "text/x-component", "", { "x-action-redirect": "/login;push" }],
};

http
  .createServer(async (req, res) => {
    if (req.url === "/journal") {
      const told = journal;
      if (req.method === "DELETE") journal = [];
      return res.end(JSON.stringify(told));
    }
    const body = Buffer.concat(await req.toArray()).toString();
    journal.push({ method: req.method, url: req.url, headers: req.headers, body });
    const wrong = complaint(req);
    if (wrong) return res.writeHead(400).end(`wrong: ${wrong}`);
    const fault = (req.headers["x-fault"] ?? "").slice(1);
    if (instead[fault]) {
      const [status, type, said, headers] = instead[fault];
      return res.writeHead(status, { "content-type": type, ...headers }).end(said);
    }
    const action = actions[req.headers["next-action"]];
    if (!action) {
      return res
        .writeHead(404, { "content-type": "text/plain", "x-nextjs-action-not-found": "1" })
        .end("Server action not found.");
    }
    const told = { user: COOKIES[req.headers.cookie], fault };
    const outcome = (async () => action(told, ...(await decodeReply(body, {}))))();
    const failed = await outcome.then(() => false, () => true);
    res.writeHead(failed ? 500 : 200, { "content-type": "text/x-component" });
    renderToPipeableStream({ a: outcome, f: "", b: "build" }, {}, { onError: () => "1734092" }).pipe(res);
  })
  .listen(Number(port), "127.0.0.1");
