// What the documents say, in the words of a customer. Pure.

const ORDINALS = ["", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

export const money = (cents) => `$${((cents || 0) / 100).toFixed(2)}`;
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
export const number = (index) => String(index + 1).padStart(2, "0");
export const modelName = (model) => (model || "").split("/").pop();

function ordinal(n) {
  if (n < ORDINALS.length) return ORDINALS[n];
  const last = n % 100 > 10 && n % 100 < 14 ? 0 : n % 10;
  return `${n}${["th", "st", "nd", "rd"][last] || "th"}`;
}

/** Seconds as a running clock: `0:07`, `12:30`, `1:02:03`. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** A span that is only roughly known: `about 40 s`, `about 3 min`. */
export function about(seconds) {
  if (seconds < 1) return "any moment";
  if (seconds < 20) return `about ${Math.ceil(seconds)} s`;
  if (seconds < 90) return `about ${Math.ceil(seconds / 5) * 5} s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${Math.round(seconds / 3600)} h`;
}

export function ago(time, now) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString();
}

const WAITING = {
  slot: ({ place, account }) => (place ? `${ordinal(place)} in line at ${account}` : `waiting for a slot at ${account}`),
  rate: ({ account }) => `keeping to ${account}'s pace`,
  blocked: ({ account }) => `${account} asks us to wait`,
  learned_limit: ({ place, account }) => `${place ? `${ordinal(place)} in line, ` : ""}${account} takes fewer now`,
  daily_limit: ({ account }) => `today's limit at ${account} is reached`,
  budget: () => "needs you: the budget is reached",
  dependency: () => "waiting for what it is made from",
  job_limit: () => "this job makes as many of these at once as it may",
  breaker: ({ account }) => `${account} is failing; waiting for it to recover`,
  redis_down: () => "the limiter is down; nothing is bought meanwhile",
  needs_person: () => "needs you: can't tell whether this was paid",
  provider_queue: ({ account }) => `in ${account}'s own queue`,
  retry: () => "pausing before another try",
};

const FAILED = {
  moderated: "the prompt was flagged. Edit and retry",
  rejected_input: "the model refused the input. Edit and retry",
  no_credit: "no credit left at the provider. Top up, then retry",
  not_authorised: "the provider refused the account's key",
  provider_error: "the provider stopped with an error. Retry",
  provider_cancelled: "the provider cancelled it. Retry",
  lost: "the provider lost it. Retry",
  queued_too_long: "the provider left it in its queue for too long. Retry",
  absent: "the provider never took the order. Retry",
  broken_file: "the file was broken. Retry",
  wrong_duration: "the clip had the wrong length. Retry",
};

export const STATES = {
  waiting: "waiting",
  submitting: "sending the order",
  uncertain: "checking whether the order arrived",
  rendering: "rendering",
  fetching: "saving the file",
  cancelling: "cancelling",
  done: "saved",
};

/** Why a clip waits, and how long: `third in line at replicate · about 40 s`. */
export function waitingWords(waiting, sinceSeconds = 0, provider = null) {
  const known = { ...waiting, account: waiting.account || provider || "the provider" };
  const why = (WAITING[waiting.reason] || (() => "waiting"))(known);
  if (waiting.about_seconds === null || waiting.about_seconds === undefined) return why;
  const left = waiting.about_seconds - sinceSeconds;
  // A pause has its end from the provider; everything else is a guess.
  return `${why} · ${waiting.reason === "blocked" && left >= 1 && left < 90 ? `${Math.ceil(left)} s` : about(left)}`;
}

/** What the server says of it; it counts scenes from 0. */
export const reason = (error) => error?.message.replace(/scenes?[. ](\d+)(\.\w+)*/, (_, n) => `scene ${+n + 1}`);
export const failedWords = (error) => FAILED[error?.code] || reason(error) || "it could not be made. Retry";

/** What model stands in for the one that was ordered, if one does. */
export const insteadWords = ({ model, fell_back_from: [left] = [] }) => left && `${modelName(model)} instead of ${modelName(left.model)}`;

const NEEDS_YOU = new Set(["budget", "needs_person", "daily_limit"]);
const TONES = { complete: "done", failed: "failed", cancelled: "off", queued: "waiting" };

/** The state as one of six tones that colour and icon share. */
export function tone(clip) {
  if (TONES[clip.status] && clip.status !== "queued") return TONES[clip.status];
  if (clip.waiting) return NEEDS_YOU.has(clip.waiting.reason) ? "you" : "waiting";
  return TONES[clip.status] || "moving";
}

export const partName = ({ kind }) => ({ image: "Keyframe", audio: "Narration" })[kind] || kind;

const BRIEF = { queued: "waiting", submitting: "starting", fetching: "saving" };
export const partBriefly = ({ status, state, waiting }) => (waiting ? "waiting" : BRIEF[status] || BRIEF[state] || status);

/** How far something is that is made beside a clip: `third in line at bfl`. */
export function partWords({ status, state, waiting, error }) {
  if (status === "failed") return `failed: ${failedWords(error).split(". ")[0]}`; // alone it can't be retried
  if (status === "cancelled" || status === "complete") return status === "complete" ? "saved" : status;
  return waiting ? waitingWords(waiting) : STATES[state] || status;
}

/** The one line under a card. `progress` is `{percent, estimated}`. */
export function clipLine(clip, progress, sinceSeconds = 0) {
  if (clip.status === "complete") return savedWords(clip);
  if (clip.status === "failed") return `failed: ${failedWords(clip.error)}`;
  if (clip.status === "cancelled") return clip.cost_cents ? `cancelled · ${money(clip.cost_cents)}` : "cancelled";
  if (clip.waiting?.reason === "dependency" && clip.parts?.some((part) => part.kind === "image" && part.status !== "complete")) return "waiting for its keyframe";
  if (clip.waiting?.reason === "dependency" && Number.isInteger(clip.dependency) && clip.dependency < clip.index) return `waiting for clip ${clip.dependency + 1}`;
  if (clip.waiting) return waitingWords(clip.waiting, sinceSeconds, clip.provider);
  if (clip.status === "queued") return "waiting for its turn";
  const state = STATES[clip.state] || clip.status;
  if (state !== "rendering") return state;
  return `rendering · ${progress.estimated ? "about " : ""}${progress.percent} %`;
}

function savedWords(clip) {
  const parts = ["saved"];
  if (clip.duration) parts.push(`${clip.duration.toFixed(1)} s`);
  if (clip.cost_cents) parts.push(money(clip.cost_cents));
  if (insteadWords(clip)) parts.push(insteadWords(clip));
  if (clip.stale) parts.push(`from an older take of clip ${clip.stale.scene + 1}`);
  return parts.join(" · ");
}

/** What a screen reader hears when a state changes; nothing for a mere percentage. */
export function spoken(clip) {
  const name = `Clip ${clip.index + 1}`;
  if (clip.status === "complete") return `${name} saved`;
  if (clip.status === "failed") return `${name} failed: ${failedWords(clip.error)}`;
  if (clip.status === "cancelled") return `${name} cancelled`;
  return clip.status === "rendering" ? `${name} rendering` : null;
}

const JOB_TONES = { queued: "waiting", complete: "done", partial: "you", failed: "failed", cancelled: "off" };
const JOB_WORDS = { queued: "waiting to start", assembling: "putting the film together", partial: "partly done" };

/** What a job is called: one without a title by how its first scene begins. */
export const titleOf = (job, clips) => job.title || clips[0]?.description?.replace(/^(.{60}).+/s, "$1…") || "Untitled";
export const jobTone = (job) => JOB_TONES[job.state] || "moving";
export const jobWords = (job) => (job.state === "assembling" && job.film ? "making the film anew" : JOB_WORDS[job.state] || job.state);
export const jobIsOver = (job) => ["complete", "partial", "failed", "cancelled"].includes(job.state);
