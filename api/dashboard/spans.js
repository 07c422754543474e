// What a clip did when: its attempts as spans on the job's time axis. Pure; times in milliseconds.

const at = (time) => (time ? Date.parse(time) : null);

function ofTake(take, now) {
  const start = at(take.started_at);
  const end = at(take.finished_at) ?? now;
  const rendered = Math.min(at(take.rendered_at) ?? end, end);
  const failed = take.error ? "failed" : take.state === "cancelled" ? "off" : "moving";
  const spans = [{ kind: "rendering", tone: failed, start, end: rendered, take }];
  if (rendered < end) spans.push({ kind: "fetching", tone: "moving", start: rendered, end, take });
  return spans;
}

/** Spans of a clip, in order: `{kind: waiting | rendering | fetching, tone, start, end, take?, waiting?}`. */
export function spansOf(clip, job, now) {
  const spans = [];
  let last = at(job.created_at);
  let waited = true; // before its first attempt, and before one that follows by itself
  for (const take of clip.takes || []) {
    const start = at(take.started_at);
    if (start === null) continue;
    if (waited && start > last) spans.push({ kind: "waiting", tone: "waiting", start: last, end: start });
    spans.push(...ofTake(take, now));
    last = at(take.finished_at);
    waited = Boolean(take.error?.retryable);
  }
  const open = !["complete", "failed", "cancelled"].includes(clip.status);
  if (open && last !== null && now > last) spans.push({ kind: "waiting", tone: "waiting", start: last, end: now, waiting: clip.waiting });
  return spans;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800];

/** `{end, ticks}`: an axis of a few round seconds that has room to grow, so that it rarely moves. */
export function axisOf(seconds) {
  const step = STEPS.find((candidate) => seconds / candidate <= 7) ?? 86400;
  const count = Math.floor(seconds / step) + 1;
  return { end: count * step, ticks: Array.from({ length: count + 1 }, (_, i) => i * step) };
}
