// The second yardstick: an ordinary express + pg + fetch server that does what ours does on these routes:
// the same look-ups, the same ownership query, the same upstream call, and around them what a server in
// production has and ours has too: security headers, a request id, a line of access log, a rate limit.
import { createHash, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import express from "express";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import pg from "pg";
import { pinoHttp } from "pino-http";

const { DATABASE_URL, UPSTREAM, NANGO_SECRET_KEY, PORT, CREDENTIALS_CACHE_SECONDS } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 32 });
const app = express();
const cache = new Map();
const digest = (text) => createHash("sha256").update(text).digest();
const upstream = (path) => fetch(UPSTREAM + path, { headers: { Authorization: `Bearer ${NANGO_SECRET_KEY}` } });
app.disable("x-powered-by");
app.set("trust proxy", 1);
app.use(
  pinoHttp({
    genReqId: () => randomBytes(8).toString("hex"),
    // One short line a request, as ours writes.
    customSuccessObject: (request, response, value) => ({ id: request.id, ms: value.responseTime }),
    serializers: { req: ({ method, url }) => ({ method, path: url.split("?")[0] }), res: ({ statusCode }) => ({ statusCode }) },
  }),
);
app.use(helmet());
app.use(express.json());
const limited = (keyGenerator) =>
  rateLimit({ windowMs: 60_000, limit: 120, keyGenerator, standardHeaders: false, legacyHeaders: false, validate: false });

async function requireCaller(request, response, next) {
  const token = (request.get("authorization") ?? "").replace(/^Bearer /, "");
  const { rows } = await pool.query(
    `SELECT t.id AS token_id, t.expires_at, t.revoked_at, u.id, u.is_active, o.id AS organization_id, o.slug, m.role
       FROM accounts_accesstoken t
       JOIN accounts_user u ON u.id = t.user_id
       JOIN accounts_organization o ON o.id = t.organization_id
       LEFT JOIN accounts_membership m ON m.organization_id = o.id AND m.user_id = u.id
      WHERE t.digest = $1`,
    [digest(token)],
  );
  const [row] = rows;
  if (!row || row.revoked_at || row.expires_at <= new Date() || !row.is_active) {
    return response.status(401).json({ error: "This access token is not valid or has expired. Run `crayon logout`, then `crayon login`." });
  }
  request.caller = row;
  next();
}

app.get("/api/auth/cli/check", limited((request) => request.query.code), async (request, response) => {
  const { code, secret } = request.query;
  const { rows } = await pool.query(
    "SELECT id, secret_digest, state, expires_at FROM accounts_clilogin WHERE code = $1",
    [code],
  );
  if (!rows.length) return response.json({ data: { status: "expired" } });
  if (!timingSafeEqual(rows[0].secret_digest, digest(secret))) return response.status(403).json({ error: "Wrong secret." });
  response.json({ data: { status: rows[0].expires_at <= new Date() ? "expired" : rows[0].state } });
});

app.post("/api/auth/cli/session", limited((request) => request.ip), async (request, response) => {
  const code = randomBytes(4).toString("hex");
  const secret = randomBytes(16).toString("hex");
  await pool.query(
    `INSERT INTO accounts_clilogin (id, code, secret_digest, state, client_name, hostname, user_agent, created_at, expires_at)
     VALUES ($1, $2, $3, 'pending', '', '', '', now(), now() + interval '5 minutes') ON CONFLICT DO NOTHING`,
    [randomUUID(), code, digest(secret)],
  );
  response.json({ data: { code, secret } });
});

app.get("/api/integrations", requireCaller, async (_request, response) => {
  let entry = cache.get("integrations");
  if (!entry || entry.until < Date.now()) {
    const { data } = await (await upstream("/integrations")).json();
    entry = { until: Date.now() + 60_000, data: data.map(({ unique_key: id, provider }) => ({ id, provider })) };
    cache.set("integrations", entry);
  }
  response.json({ data: entry.data });
});

app.get("/api/integrations/:id/connections", requireCaller, async (request, response) => {
  const query = new URLSearchParams({ "tags[end_user_id]": request.caller.id, integrationId: request.params.id });
  const { connections } = await (await upstream(`/connections?${query}`)).json();
  response.json({ data: connections.map((connection) => ({ ...connection, created_at: connection.created })) });
});

app.get("/api/credentials/:id", requireCaller, async (request, response) => {
  const id = request.query.connection_id;
  const key = `${request.caller.id} ${request.params.id} ${id}`;
  const kept = cache.get(key);
  if (kept && kept.until > Date.now()) return response.json({ data: kept.data });
  const { rows } = await pool.query(
    "SELECT id FROM integrations_connection WHERE integration_id = $1 AND connection_id = $2 AND owner_id = $3",
    [request.params.id, id, request.caller.id],
  );
  if (!rows.length) return response.status(404).json({ error: "Connection not found" });
  const query = new URLSearchParams({ provider_config_key: request.params.id });
  const answer = await (await upstream(`/connections/${encodeURIComponent(id)}?${query}`)).json();
  if (answer.tags.end_user_id !== request.caller.id) return response.status(404).json({ error: "Connection not found" });
  const raw = answer.credentials;
  const data = { token: raw.access_token ?? raw.apiKey ?? "", connectionConfig: answer.connection_config, raw };
  if (Number(CREDENTIALS_CACHE_SECONDS)) cache.set(key, { until: Date.now() + 60_000, data });
  response.json({ data });
});

app.listen(Number(PORT), "127.0.0.1");
