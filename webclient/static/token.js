// @ts-check
/**
 * Looking into a token, to say why a connect was refused as far as a browser can know: it hides
 * the status of a refused handshake. Nothing is verified here; only the authorizer can.
 */

/**
 * @typedef {object} Expected
 * @property {string} tokenIssuer
 * @property {string} tokenAudience
 */

/**
 * The claims of a token, unverified.
 * @param {string} token
 * @returns {Record<string, unknown> | null} null when it is no JWT.
 */
export function readClaims(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const base64 = parts[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null && !Array.isArray(claims) ? claims : null;
  } catch {
    return null;
  }
}

/**
 * What is visibly wrong with a token.
 * @param {string} token
 * @param {Expected} expected
 * @param {number} nowSeconds Seconds since the epoch.
 * @returns {string | null} A sentence, or null when nothing can be seen from here.
 */
export function fault(token, expected, nowSeconds) {
  if (token === "") return "There is no token.";
  const claims = readClaims(token);
  if (claims === null) return "The token is not a JWT.";
  if (typeof claims.exp !== "number") return "The token does not say when it expires.";
  if (claims.exp <= nowSeconds) {
    return `The token expired ${Math.max(1, Math.round(nowSeconds - claims.exp))} s ago.`;
  }
  if (typeof claims.nbf === "number" && claims.nbf > nowSeconds) {
    return "The token is not valid yet.";
  }
  if (claims.iss !== expected.tokenIssuer) {
    return `The token is from another issuer than “${expected.tokenIssuer}”.`;
  }
  const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  if (!audiences.includes(expected.tokenAudience)) {
    return `The token is for another audience than “${expected.tokenAudience}”.`;
  }
  return null;
}
