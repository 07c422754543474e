// A storyboard on its way from a form to the API: drafts, bodies, and whose field a complaint is about.
import { jobs } from "./api.js";

export const newScene = () => ({ key: Math.random(), description: "", duration: 5 });
export const newDraft = () => ({
  title: "", model: "", aspect_ratio: "16:9", consistency_context: "", scenes: [newScene()], rest: {},
});

const FORM = new Set(["title", "model", "aspect_ratio", "consistency_context", "scenes"]);

/** The form's draft of a body; what the form has no field for is kept and sent on as it came. */
export function draftOf(body) {
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !FORM.has(name)));
  const known = Object.fromEntries(Object.entries(body).filter(([name]) => FORM.has(name)));
  const scenes = (body.scenes || []).map((scene) => ({ ...scene, key: Math.random() }));
  return { ...newDraft(), ...known, scenes, rest };
}

/** The body of a draft, without what was left empty. */
export function bodyOf({ rest, scenes, ...form }) {
  const filled = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== ""));
  return { ...filled, ...rest, scenes: scenes.map(({ key: _, ...scene }) => scene) };
}

/** Whether it is worth asking for a price. */
export const isWhole = (body) =>
  Boolean(body.model && body.scenes?.length && body.scenes.every((scene) => scene.description?.trim()));

const plain = (field) => String(field).replace(/\[(\d+)\]/g, ".$1").replace(/^(body|\$)\./, "");

/** `{field: message}` of a refusal; `scenes[1].duration` and `scenes.1.duration` are the same field. */
export const complaintsOf = (problem) =>
  Object.fromEntries((problem?.errors || []).map(({ field, message }) => [plain(field), message]));

/** The complaints that none of the `shown` fields tells. */
export const otherComplaints = (problem, shown) =>
  Object.entries(complaintsOf(problem)).filter(([field]) => !shown.has(field));

/** The lengths a model can make, as choices; null when it takes any within a range. */
export const durationChoices = (durations) => (Array.isArray(durations) ? durations : null);

let sent = { text: null, key: null };

function idempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Submit a body; asked again with the same one after a lost answer, it is still one job. Throws a Problem. */
export async function submitOnce(body) {
  const text = JSON.stringify(body);
  if (sent.text !== text) sent = { text, key: idempotencyKey() };
  const job = await jobs.submit(body, sent.key);
  sent = { text: null, key: null };
  return job;
}
