// The only module that speaks HTTP: JSON in, JSON out, every refusal a Problem.

/** A refusal or a failure, as the server's problem+json tells it. */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.code = body.code || "unknown";
    this.errors = body.errors || [];
    this.requestId = body.request_id || null;
  }
}

export const UNREACHABLE = "unreachable";

function unreachable() {
  const detail = "The server can't be reached. What you see is kept; it will be brought up to date by itself.";
  return new Problem(0, { code: UNREACHABLE, detail });
}

async function readProblem(response) {
  const body = await response.json().catch(() => ({}));
  if (response.status === 401 && !response.url.endsWith("/session")) {
    window.dispatchEvent(new Event("signed-out"));
  }
  return new Problem(response.status, body);
}

async function call(method, path, body, headers = {}) {
  // The header proves to the server that our own page asks, not a form on somebody else's.
  const sent = { Accept: "application/json", "X-Requested-With": "dailies", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const options = { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (response === null) throw unreachable();
  if (!response.ok) throw await readProblem(response);
  return response.status === 204 ? null : response.json();
}

const part = encodeURIComponent;
const jobPath = (id) => `/v1/jobs/${part(id)}`;

export const session = {
  get: () => call("GET", "/session"),
  open: (apiKey) => call("POST", "/session", { api_key: apiKey }),
  close: () => call("DELETE", "/session"),
};

export const jobs = {
  list: (start, limit) => call("GET", `/v1/jobs?start=${start}&limit=${limit}`),
  get: (id) => call("GET", jobPath(id)),
  clips: (id, limit) => call("GET", `${jobPath(id)}/clips?limit=${limit}`),
  clip: (id, index) => call("GET", `${jobPath(id)}/clips/${index}`),
  price: (body) => call("POST", "/v1/jobs?dry_run=true", body),
  submit: (body, key) => call("POST", "/v1/jobs", body, { "Idempotency-Key": key }),
  cancel: (id) => call("POST", `${jobPath(id)}/cancel`),
  retryStale: (id) => call("POST", `${jobPath(id)}/retry-stale`),
  resume: (id) => call("POST", `${jobPath(id)}/resume`),
  choose: (id, index, attempt_id) => call("POST", `${jobPath(id)}/clips/${index}/choose`, { attempt_id }),
  retry: (id, index, changes) => call("POST", `${jobPath(id)}/clips/${index}/retry`, changes),
};

export const accounts = () => call("GET", "/v1/accounts").then((answer) => answer.accounts);
export const models = () => call("GET", "/v1/models").then((answer) => answer.models);
export const sampleStoryboard = () => call("GET", "/dashboard/lighthouse.json");
