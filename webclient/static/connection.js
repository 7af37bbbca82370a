// @ts-check
/**
 * One WebSocket that comes back: opens, reports, and reconnects with jitter, with a fresh ticket
 * for every try. Touches no DOM.
 *
 * A socket that was open and is lost is opened again until `close` is called. A first connect
 * that is refused is not repeated: the same token would be refused again.
 */

/** @typedef {"closed" | "connecting" | "open" | "waiting"} State */

/**
 * What one try needs.
 * @typedef {object} Ticket
 * @property {string} url WebSocket address without a query.
 * @property {string} token
 */

/**
 * Events, with their `detail`:
 * - `state`: {state: State, retryInMs?: number, code?: number, reason?: string}
 * - `frame`: {direction: "in" | "out", text: string, atMs: number}
 * - `refused`: {ticket: Ticket | null, error: Error | null}, when a try did not open
 */
export class Connection extends EventTarget {
  /** @type {() => Promise<Ticket>} */ #getTicket;
  /** @type {() => number} */ #random;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** Whether the user wants to be connected. */
  #isWanted = false;
  /** Whether this connection was ever open since `open` was called. */
  #wasOpen = false;
  #failures = 0;
  /** Grows with every try, so that late answers of an earlier one are ignored. */
  #attempt = 0;
  /** @type {State} */ #state = "closed";

  /**
   * @param {() => Promise<Ticket>} getTicket Asked before every try.
   * @param {() => number} [random] A number from 0 to 1; for tests.
   */
  constructor(getTicket, random = Math.random) {
    super();
    this.#getTicket = getTicket;
    this.#random = random;
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** Connect, unless that is under way. */
  open() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#wasOpen = false;
    this.#failures = 0;
    void this.#try();
  }

  /** Disconnect and stay so. */
  close() {
    this.#isWanted = false;
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket = null;
    this.#become("closed");
  }

  /** Do not wait any longer before the next try. */
  retryNow() {
    if (this.#state === "waiting") void this.#try();
  }

  /**
   * Send one text message.
   * @param {string} text
   * @returns {boolean} False when the socket is not open.
   */
  send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    this.#frame("out", text);
    return true;
  }

  async #try() {
    clearTimeout(this.#timer);
    const attempt = ++this.#attempt;
    this.#become("connecting");
    let ticket;
    try {
      ticket = await this.#getTicket();
      if (attempt !== this.#attempt) return;
      this.#listen(new WebSocket(`${ticket.url}?token=${encodeURIComponent(ticket.token)}`), ticket);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#lost(ticket ?? null, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {Ticket} ticket
   */
  #listen(socket, ticket) {
    let wasOpen = false;
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (socket !== this.#socket) return;
      wasOpen = true;
      this.#wasOpen = true;
      this.#failures = 0;
      this.#become("open");
    });
    socket.addEventListener("message", (event) => {
      if (socket === this.#socket) this.#frame("in", String(event.data));
    });
    socket.addEventListener("close", (event) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      if (wasOpen) this.#wait({ code: event.code, reason: event.reason });
      else this.#lost(ticket, null);
    });
  }

  /**
   * @param {Ticket | null} ticket
   * @param {Error | null} error
   */
  #lost(ticket, error) {
    this.#tell("refused", { ticket, error });
    if (this.#wasOpen) {
      this.#wait({});
    } else {
      this.#isWanted = false;
      this.#become("closed");
    }
  }

  /** @param {{code?: number, reason?: string}} cause */
  #wait(cause) {
    // Full jitter: clients that were cut off together do not come back together.
    const ceilingMs = Math.min(30_000, 500 * 2 ** this.#failures);
    const retryInMs = Math.round(this.#random() * ceilingMs);
    this.#failures += 1;
    this.#timer = setTimeout(() => void this.#try(), retryInMs);
    this.#become("waiting", { ...cause, retryInMs });
  }

  /**
   * @param {State} state
   * @param {object} [more]
   */
  #become(state, more = {}) {
    this.#state = state;
    this.#tell("state", { state, ...more });
  }

  /**
   * @param {"in" | "out"} direction
   * @param {string} text
   */
  #frame(direction, text) {
    this.#tell("frame", { direction, text, atMs: Date.now() });
  }

  /**
   * @param {string} type
   * @param {object} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
