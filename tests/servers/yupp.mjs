// Yupp's procedures for files on a real tRPC server.
// node yupp.mjs PORT LINKS: LINKS is where links into the storage are made (s3_links.py).
// What it was asked stands at /journal, until somebody deletes it. The header x-fault says what goes wrong (`!limited`), and where
// (`!limited@getSignedImage`).
import { randomUUID } from "node:crypto";
import http from "node:http";
import { initTRPC, TRPCError } from "@trpc/server";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";

const [port, links] = process.argv.slice(2);
const COOKIE = "__Secure-yupp.session-token";
const SESSIONS = { "session-of-ann": "ann", "session-of-bob": "bob" };
const files = new Map();
let journal = [];

const faultOf = (req) => (req.headers["x-fault"] ?? "").slice(1);

const link = async (kind, asked) =>
  (await fetch(`${links}/${kind}`, { method: "POST", body: JSON.stringify(asked) })).json();

// As superjson has it for plain values.
const transformer = { serialize: (value) => ({ json: value }), deserialize: (value) => value.json };
const t = initTRPC.context().create({ transformer, isDev: false });
const refuse = (code, message) => {
  throw new TRPCError({ code, message });
};

// The fields of an input and what each has to be; no more and no less.
const exactly = (fields) => (value) => {
  const names = Object.keys(value ?? {});
  if (names.length !== Object.keys(fields).length || !names.every((name) => fields[name]?.(value[name]))) {
    throw new Error(`expected ${Object.keys(fields)}, got ${JSON.stringify(value)}`);
  }
  return value;
};
const text = (value) => typeof value === "string" && value !== "";
const size = (value) => Number.isInteger(value) && value >= 0;
const type = (value) => text(value) && /^[a-z]+\/[\w.+-]+$/.test(value);

const procedure = t.procedure.use(({ ctx, path, next }) => {
  if (!ctx.user) refuse("UNAUTHORIZED", "Sign in first");
  const [fault, where] = ctx.fault.split("@");
  if (!where || path.endsWith(where)) {
    if (fault === "limited") refuse("TOO_MANY_REQUESTS", "Slow down");
    if (fault === "forbidden") refuse("FORBIDDEN", "This account has no files");
    if (fault === "echo") refuse("BAD_REQUEST", `Not with the session ${ctx.token}`);
    if (fault === "broken") throw new Error("The database is away");
  }
  return next();
});

const router = t.router({
  chat: t.router({
    createPresignedURLForUpload: procedure
      .input(exactly({ fileName: text, fileSize: size, contentType: type }))
      .mutation(async ({ ctx, input }) => {
        const fileId = randomUUID();
        files.set(fileId, { ...input, owner: ctx.user, key: `files/${fileId}` });
        const asked = ctx.fault === "other-type" ? "application/x-other" : input.contentType;
        const expired = ctx.fault === "expired";
        return { signedUrl: await link("put", { key: `files/${fileId}`, media_type: asked, expired }), fileId };
      }),
    createAttachmentForUploadedFile: procedure
      .input(exactly({ fileName: text, contentType: type, fileId: text }))
      .mutation(async ({ ctx, input }) => {
        const file = files.get(input.fileId);
        if (file?.owner !== ctx.user) refuse("NOT_FOUND", "No such file");
        if (file.fileName !== input.fileName || file.contentType !== input.contentType)
          refuse("BAD_REQUEST", "This is another file");
        const found = await link("head", { key: file.key });
        if (found?.size !== file.fileSize || found.type !== file.contentType)
          refuse("PRECONDITION_FAILED", "Nothing, or something else, was uploaded");
        return { file_name: file.fileName, content_type: file.contentType, attachment_id: `attachment-${input.fileId}` };
      }),
    getSignedImage: procedure.input(exactly({ imageId: text })).query(({ input }) => {
      const url = `https://images.example/${input.imageId}?signature=1`;
      if (input.imageId === "older") return { signedURL: url };
      if (input.imageId === "lost") return {};
      return input.imageId === "newer" ? { signed_url: url } : refuse("NOT_FOUND", "No such image");
    }),
    refuse: t.procedure.mutation(() => refuse("CONFLICT", "The other half of the batch failed")),
  }),
});

const handler = createHTTPHandler({
  router,
  basePath: "/api/trpc/",
  createContext: ({ req }) => {
    const [name, token, ...more] = (req.headers.cookie ?? "").split(/=|; /);
    if (more.length || (name && name !== COOKIE)) refuse("BAD_REQUEST", "Cookies that are none of ours");
    return { token, user: SESSIONS[token], fault: faultOf(req) };
  },
  responseMeta: ({ errors }) =>
    errors.some((error) => error.code === "TOO_MANY_REQUESTS") ? { headers: new Headers({ "retry-after": "7" }) } : {},
  onError: () => {},
});

http
  .createServer(async (req, res) => {
    if (req.url === "/journal") {
      const told = journal;
      if (req.method === "DELETE") journal = [];
      return res.end(JSON.stringify(told));
    }
    const body = Buffer.concat(await req.toArray()).toString();
    journal.push({ method: req.method, url: req.url, headers: req.headers, body });
    if (!new URL(req.url, "http://host").search.startsWith("?batch=1")) return res.writeHead(400).end("no batch");
    if (faultOf(req) === "mixed") {
      req.url = req.url.replace("?", ",chat.refuse?");
      req.body = { ...JSON.parse(body), 1: { json: {} } };
    } else if (req.method === "POST") {
      if (!req.headers["content-length"]) return res.writeHead(411).end();
      req.body = body;
    }
    handler(req, res);
  })
  .listen(Number(port), "127.0.0.1");
