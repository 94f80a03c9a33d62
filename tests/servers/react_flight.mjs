// React's own server code: values to Flight bodies, and the arguments of actions to JSON.
// node --conditions react-server react_flight.mjs PORT
import http from "node:http";
import { decodeReply, renderToPipeableStream } from "react-server-dom-webpack/server";

const port = process.argv[2];

const twice = { url: "https://files.example/a" };
const circle = { name: "circle" };
circle.self = circle;
const specials = {
  undefined: undefined,
  list: [undefined, 1],
  date: new Date(Date.UTC(2026, 10, 20, 12)),
  bigint: 12345678901234567890n,
  infinity: Infinity,
  less: -Infinity,
  nan: NaN,
  zero: -0,
  map: new Map([["a", 1]]),
  set: new Set([1]),
  symbol: Symbol.for("a"),
  error: new Error("not told"),
  twice: [{ first: twice }, twice],
  promise: Promise.resolve({ inner: "x".repeat(2000) }),
  // Bytes that look like rows, and line ends.
  bytes: new TextEncoder().encode('\n1:{"success":false}\n2:T5,'),
  numbers: new Float64Array([10, 0.1]),
};

const answers = {
  "/render": (body) => JSON.parse(body),
  "/specials": () => specials,
  "/circle": () => circle,
};

http
  .createServer(async (req, res) => {
    const body = Buffer.concat(await req.toArray()).toString();
    if (req.url === "/arguments") return res.end(JSON.stringify(await decodeReply(body, {})));
    const value = answers[req.url](body);
    renderToPipeableStream({ a: Promise.resolve(value), f: "", b: "build" }, {}, { onError: () => "17" }).pipe(res);
  })
  .listen(Number(port), "127.0.0.1");
