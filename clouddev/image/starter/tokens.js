// Tokens of the server that made this machine: what one says, when it is good here for a use and wasn't revoked.
// Uses are "dev-ui", "mcp", "webhook" and "cron"; a token for one of them opens nothing of another.
import { createPublicKey, verify } from "node:crypto";

const KEPT_MS = 60_000;
const pem = process.env.DEV_UI_JWT_PUBLIC_KEY?.replaceAll("\\n", "\n");
const key = pem ? createPublicKey(pem) : undefined;
const app = process.env.FLY_APP_NAME;
let revoked = new Set();
let askedAt = -Infinity;

// The claims of `token`, or undefined. Who asked for which page is for the caller to decide.
export async function claimsOf(token, use) {
  const claims = signed(token);
  const now = Date.now() / 1000;
  if (!claims || claims.app !== app || claims.use !== use || !(claims.exp > now)) return undefined;
  if (claims.jti && (await revokedOnes()).has(claims.jti)) return undefined;
  return claims;
}

function signed(token) {
  try {
    const [head, body, signature, ...more] = token.split(".");
    const { alg } = JSON.parse(Buffer.from(head, "base64url"));
    if (!key || alg !== "EdDSA" || more.length) return undefined;
    const isOurs = verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"));
    return isOurs ? JSON.parse(Buffer.from(body, "base64url")) : undefined;
  } catch {
    return undefined;
  }
}

// The list is asked for once a minute at most. While the server can't be reached the last one counts.
async function revokedOnes() {
  if (Date.now() - askedAt > KEPT_MS) {
    askedAt = Date.now();
    try {
      const url = `${process.env.CRAYON_SERVER_URL}/api/cloud-dev/revoked-tokens?app=${encodeURIComponent(app)}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      if (answer.ok) revoked = new Set((await answer.json()).data.jtis);
    } catch (error) {
      console.error(`The list of revoked tokens could not be read: ${error.name}.`);
    }
  }
  return revoked;
}
