// What the page knows about one job, and how each snapshot and event changes it. Pure: the time is passed in.
import * as glide from "./glide.js";
import { jobIsOver } from "./words.js";

const OVER = new Set(["complete", "failed", "cancelled"]);

/** Nothing known yet. `usualSeconds(model)` comes from the catalogue. */
export const unknown = (usualSeconds = () => glide.DEFAULT_USUAL_SECONDS) => ({
  job: null, clips: [], seq: 0, usualSeconds,
});

export const isOver = (clip) => OVER.has(clip.status);
export const isMoving = (clip) => !isOver(clip) && !clip.waiting && clip.status !== "queued";

function merge(old, fresh, usualSeconds, now) {
  const clip = { ...old, ...fresh, ...sameLinks(old, fresh) };
  if (fresh.takes) clip.takes = fresh.takes.map((take, i) => ({ ...take, ...sameLinks(old?.takes?.[i], take) }));
  clip.waiting = clip.waiting || null;
  clip.takesStale = !fresh.takes && Boolean(!old || old.takesStale || old.status !== clip.status);
  clip.waitingSince = old && sameWait(old.waiting, clip.waiting) ? old.waitingSince : now;
  clip.glide = glideOf(old, clip, usualSeconds, now);
  clip.progress = clip.glide.reported;
  return clip;
}

const sameWait = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const fileOf = (link) => link?.split("?")[0];
export const sameFile = (a, b) => Boolean(a && b) && fileOf(a) === fileOf(b);

// Every document signs its links anew; a picture or a playing clip must not start again for that.
export function sameLinks(old, fresh) {
  const kept = ["url", "thumbnail_url", "keyframe_url", "narration_url"].filter((name) => sameFile(old?.[name], fresh[name]));
  return Object.fromEntries(kept.map((name) => [name, old[name]]));
}

/** The page without the links of a clip (or, without an index, of the film), because they have run out. */
export function withoutLinks(state, index) {
  if (index === undefined) return { ...state, job: { ...state.job, film: null } };
  const clips = state.clips.map((clip, i) => (i === index ? { ...clip, url: null, thumbnail_url: null, takes: null } : clip));
  return { ...state, clips };
}

function glideOf(old, clip, usualSeconds, now) {
  const again = old && isOver(old) && !isOver(clip);
  // A page that is loaded midway goes on from the last news, not from its own beginning.
  if (!old && isMoving(clip)) return glide.still(clip.progress, Math.min(now, Date.parse(clip.updated_at) || now));
  if (!old || again || isOver(clip)) return glide.still(clip.progress, now);
  const usual = usualSeconds(clip.model);
  // A clip that waits does not glide: its bar stands where it was until it moves again.
  if (!isMoving(old)) return glide.still(Math.max(clip.progress, Math.floor(old.glide.from)), now);
  const told = Math.max(clip.progress, old.glide.reported);
  if (isMoving(clip) && told === old.glide.reported) return old.glide;
  return glide.report(old.glide, told, usual, now);
}

/** The page after a whole job document; `seq` null when the document came without one. */
export function withSnapshot(state, document, seq, now) {
  if (seq !== null && seq < state.seq) return state; // overtaken on its way
  const { video_clips: fresh = [], ...job } = document;
  const clips = fresh.map((clip, i) => merge(state.clips[i], clip, state.usualSeconds, now));
  if (sameFile(state.job?.film?.url, job.film?.url)) job.film = state.job.film;
  return { ...state, job: { ...state.job, ...job }, clips, seq: seq ?? state.seq };
}

/** The page after one clip's own document. */
export const withClip = (state, clip, now) => change(state, clip.index, clip, now);

function change(state, index, fresh, now) {
  if (!state.clips[index]) return state;
  const clips = [...state.clips];
  clips[index] = merge(clips[index], fresh, state.usualSeconds, now);
  return { ...state, clips };
}

// The whole line, or the next fifty of it. Who went on since has left it.
const moved = (state, { waiting }, now) =>
  waiting.reduce((page, each) => (page.clips[each.index]?.status === "queued" ? change(page, each.index, { waiting: each }, now) : page), state);

const PARTS = { image: "keyframe_url", audio: "narration_url" };

const CLIP_EVENTS = {
  video_progress: ({ progress, status }, clip) =>
    ({ progress, status, state: stateOf(status, clip.state), waiting: null }),
  video_complete: ({ url, duration }) =>
    ({ url, duration, status: "complete", state: "done", progress: 100, waiting: null, error: null }),
  video_failed: ({ error }) => ({ error, status: "failed", state: "failed", waiting: null }),
  clip_waiting: ({ waiting }) => ({ waiting }),
  thumbnail_ready: ({ thumbnail_url }) => ({ thumbnail_url }),
  asset_progress: (event, clip) =>
    ({ parts: clip.parts?.map((part) => partAfter(part, event)), ...(event.url && PARTS[event.kind] ? { [PARTS[event.kind]]: event.url } : {}) }),
};

const partAfter = (part, { asset_id, status, error }) =>
  (part.asset_id === asset_id ? { ...part, status, error, state: stateOf(status, part.state), waiting: null } : part);

// Events tell the public status; what it is called inside follows from what came before.
const stateOf = (status, before) =>
  ({ queued: "waiting", processing: before === "rendering" ? "fetching" : "submitting", complete: "done" })[status] || status;

const JOB_EVENTS = {
  job_progress: ({ progress, complete, failed, total }, job) =>
    (jobIsOver(job) ? {} : { progress, state: complete && complete + failed === total ? "assembling" : "running" }),
  job_complete: ({ state, total_seconds, actual_cents }) => ({ state, total_seconds, actual_cents }),
};

/** Whether the event can be applied: `next`, `old` (seen already), or `gap` (something is missing). */
export function order(state, event) {
  if (event.seq === undefined || event.seq === null) return "next";
  if (event.seq <= state.seq) return "old";
  return event.seq === state.seq + 1 ? "next" : "gap";
}

/** Whether the event says that something goes on in a job that was over: then the whole document must be read. */
export const isNewRound = (state, name) => name === "job_progress" && jobIsOver(state.job);

/** Whether the clip's own document must be read after this event: it says more than the event does. */
export function wantsDocument(state, name, event) {
  const clip = state.clips[event.index];
  if (!clip) return false;
  if (name === "video_complete" || name === "video_failed") return true;
  return isOver(clip) && (name === "video_progress" || name === "clip_waiting");
}

/** The page after an event. */
export function withEvent(state, name, event, now) {
  const seen = { ...state, seq: event.seq ?? state.seq };
  if (JOB_EVENTS[name]) return { ...seen, job: { ...seen.job, ...JOB_EVENTS[name](event, seen.job) } };
  if (name === "line_moved") return moved(seen, event, now);
  const clip = seen.clips[event.index];
  if (!CLIP_EVENTS[name] || !clip) return seen;
  // Late news about a clip that is over says nothing; its own document does, when it was really begun again.
  if (isOver(clip) && (name === "video_progress" || name === "clip_waiting")) return seen;
  return change(seen, event.index, CLIP_EVENTS[name](event, clip), now);
}

/** What to show on a clip's bar just now: `{percent, estimated}`. */
export function progressOf(clip, usualSeconds, now) {
  if (clip.status === "complete") return { percent: 100, estimated: false };
  if (!isMoving(clip)) return { percent: Math.floor(clip.glide.from), estimated: false };
  return glide.shown(clip.glide, usualSeconds(clip.model), now);
}

/** How many clips are in each state: `{complete, failed, cancelled, moving, waiting, total}`. */
export function counts(clips) {
  const count = { complete: 0, failed: 0, cancelled: 0, moving: 0, waiting: 0, total: clips.length };
  for (const clip of clips) {
    if (isOver(clip)) count[clip.status] += 1;
    else count[isMoving(clip) ? "moving" : "waiting"] += 1;
  }
  return count;
}

export function spentCents({ job, clips }) {
  const clipCents = clips.reduce((sum, clip) => sum + (clip.cost_cents || 0), 0);
  return Math.max(job.actual_cents || 0, clipCents);
}
