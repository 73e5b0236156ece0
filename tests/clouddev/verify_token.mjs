// Verifies a dev-UI token as a machine does, with `jose`: the public key from DEV_UI_JWT_PUBLIC_KEY, the app's
// name from FLY_APP_NAME, the token and the time (in seconds) as arguments.
import { webcrypto } from "node:crypto";
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, errors, exportJWK, importSPKI, jwtVerify } from "jose";

// Node 18 has it in its module only.
globalThis.crypto ??= webcrypto;
const [token, now] = process.argv.slice(2);
const pem = process.env.DEV_UI_JWT_PUBLIC_KEY.replaceAll("\\n", "\n");
const key = await importSPKI(pem, "EdDSA", { extractable: true });

async function isGood() {
  const options = { algorithms: ["EdDSA"], requiredClaims: ["sub", "app", "exp"], currentDate: new Date(now * 1000) };
  try {
    const { payload } = await jwtVerify(token, key, options);
    return payload.app === process.env.FLY_APP_NAME;
  } catch (error) {
    // Whatever else goes wrong is no answer, and ends this with another status.
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

const kid = await calculateJwkThumbprint(await exportJWK(key));
console.log(
  JSON.stringify({ isGood: await isGood(), kid: decodeProtectedHeader(token).kid === kid, claims: decodeJwt(token) }),
);
