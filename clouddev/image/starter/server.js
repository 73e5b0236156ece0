// The smallest dev server: it says that it is there. Change it, or put another project in its place.
import { createServer } from "node:http";
import { claimsOf } from "./tokens.js";

const port = Number(process.env.DEV_PORT ?? 4173);
const host = process.env.DEV_HOST; // without one: all addresses, IPv4 and IPv6
const name = process.env.APP_NAME ?? "app";

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://machine.invalid");
  if (pathname === "/dev/__health") {
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify({ status: "ok" }));
  } else if (pathname.startsWith("/webhooks/")) {
    // Whoever calls a webhook has a webhook token; one for the dev UI or for MCP is refused.
    const token = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
    response.writeHead((await claimsOf(token, "webhook")) ? 204 : 401);
    response.end();
  } else if (pathname === "/") {
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
    response.end(`${name} is running. Its code is in /data/app.\n`);
  } else {
    response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" });
    response.end("There is no such page.\n");
  }
});

server.listen(port, host, () => console.log(`Listening on ${server.address().port}.`));

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
