// @ts-check
/** The page: forms, the list of frames, what went wrong. Touches no socket. */

import { Connection } from "./connection.js";
import { fault } from "./token.js";

/**
 * @typedef {object} Config
 * @property {string} stackName
 * @property {string} region
 * @property {boolean} isLocal
 * @property {boolean} canMint
 * @property {string} websocketUrl
 * @property {boolean} takesTickets
 * @property {string} tokenIssuer
 * @property {string} tokenAudience
 */

const FRAMES_SHOWN = 500;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** @param {string} id */
const input = (id) => element(id, HTMLInputElement);
/** @param {string} id */
const area = (id) => element(id, HTMLTextAreaElement);
/** @param {string} id */
const button = (id) => element(id, HTMLButtonElement);
/** @param {string} id */
const form = (id) => element(id, HTMLFormElement);
/** @param {string} id */
const part = (id) => element(id, HTMLElement);

/** @type {Config | null} */
let config = null;
const connection = new Connection(ticket);

/**
 * Call the page's own server.
 * @param {string} path
 * @param {object} [body] With a body it is a POST.
 * @returns {Promise<any>} The answer. Throws with the server's own words when it refuses.
 */
async function call(path, body) {
  /** @type {Record<string, string>} */
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const bearer = input("bearer").value.trim();
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const method = body === undefined ? "GET" : "POST";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Error("The web server does not answer. Is it running? (make local-up)");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`${answer.status}: ${told.message ?? answer.statusText}`);
  return told;
}

/** @param {string} name */
function chosen(name) {
  const found = document.querySelector(`input[name="${name}"]:checked`);
  return found instanceof HTMLInputElement ? found.value : "";
}

/** When the try that is under way began. */
let triedAtMs = 0;

/** Address and token for the next try; both fresh, since the stack may have been deployed anew. */
async function ticket() {
  triedAtMs = Date.now();
  const current = /** @type {Config} */ (await call("/api/config"));
  show(current);
  if (chosen("source") === "paste") {
    return { url: current.websocketUrl, token: area("token").value.trim() };
  }
  const made = await call("/api/token", { userId: input("user").value.trim() });
  return { url: current.websocketUrl, token: String(made.token) };
}

/** @param {Config} current */
function show(current) {
  config = current;
  const place = current.isLocal ? "local" : `AWS ${current.region}`;
  part("stack").textContent = `${current.stackName} · ${place} · ${current.websocketUrl}`;
  part("bearer-field").hidden = current.isLocal;
  const mint = document.querySelector('input[name="source"][value="mint"]');
  if (mint instanceof HTMLInputElement && !current.canMint && !mint.disabled) {
    mint.disabled = true;
    const paste = document.querySelector('input[name="source"][value="paste"]');
    if (paste instanceof HTMLInputElement) paste.checked = true;
    showTokenFields();
  }
}

function showTokenFields() {
  const isPasted = chosen("source") === "paste";
  part("token-field").hidden = !isPasted;
  part("user-field").hidden = isPasted;
  input("user").required = !isPasted;
}

/**
 * @param {string} title
 * @param {string} text
 */
function showProblem(title, text) {
  part("problem-title").textContent = title;
  part("problem-text").textContent = text;
  part("problem-why").hidden = true;
  part("problem-log").hidden = true;
  part("problem").hidden = false;
}

/** What the local engine tells of the refusal, which the browser itself hides. */
async function showWhy() {
  /** @type {{refusal: {id: string, status: number, code: string, means: string, fix: string, log: string[]} | null}} */
  const beganMs = triedAtMs;
  const { refusal } = await call(`/api/refusal?since=${beganMs}`).catch(() => ({ refusal: null }));
  if (refusal === null || beganMs !== triedAtMs) return;
  const { id, status, code, means, fix, log } = refusal;
  part("problem-why").textContent = `${status} ${code}: ${means} ${fix} All steps: socketstack trace ${id}`;
  part("problem-why").hidden = false;
  part("problem-log").textContent = log.join("\n");
  part("problem-log").hidden = log.length === 0;
}

/**
 * Add a line to the list of frames.
 * @param {"in" | "out" | "note"} kind
 * @param {string} text
 * @param {number} [atMs]
 */
function addLine(kind, text, atMs = Date.now()) {
  const list = part("frames");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("li");
  line.className = kind;
  const at = new Date(atMs);
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  const milliseconds = String(at.getMilliseconds()).padStart(3, "0");
  time.textContent = `${at.toLocaleTimeString("en-GB")}.${milliseconds}`;
  const label = document.createElement("span");
  label.className = "kind";
  label.textContent = { in: "← in", out: "→ out", note: "· note" }[kind];
  const content = document.createElement("span");
  content.className = "text";
  content.textContent = text;
  line.append(time, label, content);
  list.append(line);
  while (list.childElementCount > FRAMES_SHOWN) list.firstElementChild?.remove();
  part("no-frames").hidden = true;
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

/** @param {{state: string, retryInMs?: number, code?: number, reason?: string}} change */
function showState(change) {
  const words = {
    closed: "Not connected",
    connecting: "Connecting…",
    open: "Connected",
    waiting: `Reconnecting in ${((change.retryInMs ?? 0) / 1000).toFixed(1)} s`,
  };
  const state = part("state");
  const before = state.dataset.state;
  state.dataset.state = change.state;
  state.textContent = words[/** @type {keyof words} */ (change.state)];
  const isIdle = change.state === "closed";
  button("connect").disabled = !isIdle;
  button("disconnect").disabled = isIdle;
  button("retry").hidden = change.state !== "waiting";
  button("send").disabled = change.state !== "open";
  if (change.state === "open") {
    part("problem").hidden = true;
    addLine("note", "Connected.");
    void listConnections();
  } else if (change.code !== undefined) {
    const why = change.reason ? `, “${change.reason}”` : "";
    addLine("note", `The server closed the connection (code ${change.code}${why}).`);
  } else if (change.state === "closed" && before === "open") {
    addLine("note", "Disconnected.");
  }
}

/** @param {{ticket: {url: string, token: string} | null, error: Error | null}} refusal */
function showRefusal({ ticket: used, error }) {
  addLine("note", "The connection was not opened.");
  if (error !== null || used === null || config === null) {
    showProblem("Could not try to connect", error?.message ?? "There is no token.");
    return;
  }
  void showWhy();
  const seen = config.takesTickets ? null : fault(used.token, config, Date.now() / 1000);
  if (seen !== null) {
    showProblem("Refused", seen);
    return;
  }
  showProblem(
    "Refused, or nobody listens",
    "Nothing is visibly wrong with the token. Its signature may be (401), this page's origin may " +
      "not be allowed (403), a function may have failed (500), or the API is not running.",
  );
}

async function listConnections() {
  const list = part("connections");
  if (config === null || (!config.isLocal && !input("bearer").value)) return;
  try {
    /** @type {{connections: {connectionId: string, userId: string}[]}} */
    const { connections } = await call("/api/connections");
    list.replaceChildren(...connections.map(connectionLine));
    if (connections.length === 0) list.textContent = "Nobody.";
    const users = new Set(connections.map((one) => `user:${one.userId}`));
    part("targets").replaceChildren(...["all", ...users].map((value) => new Option(value, value)));
  } catch (error) {
    list.textContent = error instanceof Error ? error.message : String(error);
  }
}

/** @param {{connectionId: string, userId: string}} one */
function connectionLine({ connectionId, userId }) {
  const line = document.createElement("li");
  for (const target of [`user:${userId}`, `connection:${connectionId}`]) {
    const pick = document.createElement("button");
    pick.type = "button";
    pick.textContent = target;
    pick.className = target.startsWith("user:") ? "user" : "id";
    pick.addEventListener("click", () => {
      input("push-to").value = target;
      input("send-to").value = target;
    });
    line.append(pick);
  }
  return line;
}

/** The message as the route wants it. */
function composed() {
  const text = area("message").value;
  const route = chosen("route");
  if (route === "raw") return text;
  if (route === "echo") return JSON.stringify({ action: "echo", message: text });
  return JSON.stringify({ action: "send", to: input("send-to").value.trim(), message: text });
}

async function push() {
  const result = part("push-result");
  result.textContent = "";
  button("push").disabled = true;
  try {
    const body = { to: input("push-to").value.trim(), message: area("push-message").value };
    const counts = await call("/api/push", body);
    result.dataset.kind = "good";
    result.textContent = `sent ${counts.sent}, gone ${counts.gone}, failed ${counts.failed}`;
  } catch (error) {
    result.dataset.kind = "bad";
    result.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    button("push").disabled = false;
    void listConnections();
  }
}

connection.addEventListener("state", (event) => {
  showState(/** @type {CustomEvent} */ (event).detail);
});
connection.addEventListener("refused", (event) => {
  showRefusal(/** @type {CustomEvent} */ (event).detail);
});
connection.addEventListener("frame", (event) => {
  const { direction, text, atMs } = /** @type {CustomEvent} */ (event).detail;
  addLine(direction, text, atMs);
});

form("connect-form").addEventListener("submit", (event) => {
  event.preventDefault();
  part("problem").hidden = true;
  connection.open();
});
button("disconnect").addEventListener("click", () => connection.close());
button("retry").addEventListener("click", () => connection.retryNow());
window.addEventListener("online", () => connection.retryNow());
part("token-source").addEventListener("change", showTokenFields);
form("send-form").addEventListener("submit", (event) => {
  event.preventDefault();
  connection.send(composed());
});
form("send-form").addEventListener("change", () => {
  part("send-to-field").hidden = chosen("route") !== "send";
});
form("push-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void push();
});
button("refresh").addEventListener("click", () => void listConnections());
part("who").addEventListener("toggle", () => void listConnections());
button("clear").addEventListener("click", () => {
  part("frames").replaceChildren();
  part("no-frames").hidden = false;
});

showTokenFields();
call("/api/config").then(show, (error) => {
  part("stack").textContent = "";
  showProblem("The web server cannot be read", error.message);
});
