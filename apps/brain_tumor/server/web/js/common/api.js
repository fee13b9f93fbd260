/** Requests to the server that the page came from. */

const TOKEN = "tumorlens.token";
const SERVER = new URL("../../../", import.meta.url);

/** Address of a route, also where a proxy serves the page below a path. */
export function address(/** @type {string} */ path) {
  return new URL(path.replace(/^\//, ""), SERVER).href;
}

/** What the server, or the way to it, said no to. */
export class ServerError extends Error {
  /**
   * @param {number} status HTTP status; 0 where no reply came.
   * @param {string} message
   * @param {string} [remedy]
   */
  constructor(status, message, remedy = "") {
    super(message);
    this.status = status;
    this.remedy = remedy;
  }
}

/** @type {() => Promise<string | null>} */
let askForToken = async () => null;
/** @type {Promise<string | null> | null} */
let asking = null;

/** @param {() => Promise<string | null>} ask Asks the user; null gives up. */
export function useTokenQuestion(ask) {
  askForToken = ask;
}

/** Name under which corrections are kept. */
export function annotator() {
  return localStorage.getItem("tumorlens.name") ?? "";
}

/** @param {string} name */
export function rememberAnnotator(name) {
  localStorage.setItem("tumorlens.name", name.trim());
}

/**
 * Send a request; asks for the token where the server wants one.
 *
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, string>, json?: any, form?: Record<string, any>,
 *   signal?: AbortSignal}} [given]
 * @returns {Promise<Response>}
 */
export async function send(method, path, given = {}) {
  const query = given.query ? `?${new URLSearchParams(given.query)}` : "";
  /** @type {Record<string, string>} */
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  let body;
  if (given.json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(given.json);
  } else if (given.form) {
    body = new FormData();
    for (const [key, value] of Object.entries(given.form)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one instanceof File) body.append(key, one, one.name);
        else if (one !== undefined) body.append(key, one);
      }
    }
  }
  let reply;
  try {
    reply = await fetch(address(path) + query, { method, headers, body, signal: given.signal });
  } catch (error) {
    if (given.signal?.aborted) throw error;
    throw new ServerError(0, "The server does not answer.", "Your work is kept; try again.");
  }
  if (reply.status === 401) {
    asking ??= askForToken().finally(() => (asking = null));
    const told = await asking;
    if (told) {
      sessionStorage.setItem(TOKEN, told);
      return send(method, path, given);
    }
  }
  if (!reply.ok) throw await refusal(reply);
  return reply;
}

/** @param {Response} reply */
async function refusal(reply) {
  try {
    const told = await reply.json();
    return new ServerError(reply.status, told.message, told.remedy);
  } catch {
    return new ServerError(reply.status, `HTTP ${reply.status}`);
  }
}

/**
 * @param {string} path
 * @param {Record<string, string>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function getJson(path, query, signal) {
  return (await send("GET", path, { query, signal })).json();
}

/**
 * @param {string} path
 * @param {Record<string, string>} query
 * @param {AbortSignal} [signal]
 */
export async function getBytes(path, query, signal) {
  return (await send("GET", path, { query, signal })).arrayBuffer();
}

/**
 * JSON and files of a reply with several parts.
 *
 * @param {string} path
 * @param {Record<string, string>} query
 * @param {AbortSignal} [signal]
 */
export async function getParts(path, query, signal) {
  return partsOf(await send("GET", path, { query, signal }));
}

/**
 * Run a model.
 *
 * @param {string} model
 * @param {Record<string, string>} query Case or session.
 * @param {Record<string, any>} params
 * @param {{signal?: AbortSignal, label?: Blob, scribbles?: Blob}} [given]
 * @returns {Promise<{params: any, files: Record<string, ArrayBuffer>}>}
 */
export async function infer(model, query, params, given = {}) {
  const form = {
    params: JSON.stringify({ result_extension: ".nii.gz", ...params }),
    label: given.label && new File([given.label], "label.nii.gz"),
    scribbles: given.scribbles && new File([given.scribbles], "scribbles.nii.gz"),
  };
  return partsOf(await send("POST", `/infer/${model}`, { query, form, signal: given.signal }));
}

/**
 * @param {Response} reply
 * @returns {Promise<{params: any, files: Record<string, ArrayBuffer>}>}
 */
async function partsOf(reply) {
  if (reply.headers.get("content-type")?.startsWith("application/json")) {
    return { params: await reply.json(), files: {} };
  }
  /** @type {Record<string, ArrayBuffer>} */
  const files = {};
  let told = null;
  for (const [name, value] of await reply.formData()) {
    if (value instanceof File && value.name !== "blob") files[name] = await value.arrayBuffer();
    else told = JSON.parse(value instanceof File ? await value.text() : value);
  }
  return { params: told, files };
}

/**
 * Send files with progress.
 *
 * @param {string} path
 * @param {FormData} body
 * @param {{onprogress: (share: number) => void, signal: AbortSignal}} given
 * @returns {Promise<any>} The JSON of the reply.
 */
export function upload(path, body, { onprogress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", address(path));
    const token = sessionStorage.getItem(TOKEN);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = (e) => e.lengthComputable && onprogress(e.loaded / e.total);
    request.onload = () => {
      /** @type {any} */
      let told = {};
      try {
        told = JSON.parse(request.responseText);
      } catch {
        told = { message: `HTTP ${request.status}` };
      }
      if (request.status < 300) resolve(told);
      else reject(new ServerError(request.status, told.message, told.remedy));
    };
    request.onerror = () =>
      reject(new ServerError(0, "The server does not answer.", "Your work is kept; try again."));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
