// A storyboard on its way from a form to the API: drafts, bodies, and whose field a complaint is about.
import { jobs } from "./api.js";

export const newScene = () => ({ key: Math.random(), description: "", duration: 5 });
export const newDraft = () => ({
  title: "", model: "", aspect_ratio: "16:9", consistency_context: "", reference_images: "",
  image_model: "", speech_model: "", allow_fallback: false, scenes: [newScene()], rest: {},
});

const FORM = new Set(Object.keys(newDraft()));

/** The form's draft of a body; what the form has no field for is kept and sent on as it came. */
export function draftOf(body) {
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !FORM.has(name)));
  const known = Object.fromEntries(Object.entries(filled(body)).filter(([name]) => FORM.has(name)));
  const keyed = (body.scenes || []).map((scene) => ({ ...scene, key: Math.random() }));
  // By its key, so that a scene is still the one it was when they are put in another order.
  const scenes = keyed.map(({ starts_from: from, ...scene }) => (from ? { ...scene, starts_from: { ...from, scene: keyed[from.scene]?.key } } : scene));
  return { ...newDraft(), ...known, reference_images: (body.reference_images || []).join("\n"), scenes, rest };
}

const filled = (form) => Object.fromEntries(Object.entries(form).filter(([, value]) => value !== "" && value !== null && value !== false));

/** The body of a draft, without what was left empty. */
export function bodyOf({ rest, scenes, reference_images, ...form }) {
  const links = reference_images.split(/\s+/).filter(Boolean);
  const sceneOf = ({ key: _, starts_from: from, ...scene }) => {
    const before = scenes.findIndex(({ key }) => key === from?.scene);
    return { ...filled(scene), description: scene.description, ...(before < 0 ? {} : { starts_from: { ...from, scene: before } }) };
  };
  return { ...filled(form), ...(links.length ? { reference_images: links } : {}), ...rest, scenes: scenes.map(sceneOf) };
}

/** Whether it is worth asking for a price. */
export const isWhole = (body) =>
  Boolean(body.model && body.scenes?.length && body.scenes.every((scene) => scene.description?.trim()));

const plain = (field) => String(field).replace(/\[(\d+)\]/g, ".$1").replace(/^(body|\$)\./, "");

/** `{field: message}` of a refusal; `scenes[1].duration` and `scenes.1.duration` are the same field. */
export const complaintsOf = (problem) =>
  Object.fromEntries((problem?.errors || []).map(({ field, message }) => [plain(field), message]));

/** The complaint about a field, or about something in it; `scenes.1.starts_from.scene` is one about `scenes.1.starts_from`. */
export const complaintAt = (complaints, name) =>
  complaints[name] || Object.entries(complaints).find(([field]) => field.startsWith(`${name}.`))?.[1];

/** The complaints that none of the `shown` fields tells. */
export const otherComplaints = (problem, shown) =>
  Object.entries(complaintsOf(problem)).filter(([field]) => !shown.some((name) => field === name || (name !== "scenes" && field.startsWith(`${name}.`))));

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
  if (sent.text === text) sent = { text: null, key: null };
  return job;
}
