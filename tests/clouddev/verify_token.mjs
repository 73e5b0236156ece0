// Verifies a dev-UI token as a machine does, by nothing but what Node brings along: the public key from
// DEV_UI_JWT_PUBLIC_KEY, the app's name from FLY_APP_NAME, the token and the time (in seconds) as arguments.
import { createHash, createPublicKey, verify } from "node:crypto";

const [token, now] = process.argv.slice(2);
const key = createPublicKey(process.env.DEV_UI_JWT_PUBLIC_KEY.replaceAll("\\n", "\n"));
const [head, body, signature] = token.split(".");
const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
const { crv, kty, x } = key.export({ format: "jwk" });
const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url");

const claims = read(body);
const isGood =
  read(head).alg === "EdDSA" &&
  verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url")) &&
  claims.app === process.env.FLY_APP_NAME &&
  claims.exp > Number(now);
console.log(JSON.stringify({ isGood, kid: read(head).kid === thumbprint, claims }));
