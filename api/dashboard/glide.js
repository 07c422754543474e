// Progress between two reports: it moves on at the model's usual pace, slower and slower, and never back.
// Pure: the time is passed in, in milliseconds.

const CEILING = 95; // only a report may say that a clip is nearly done
export const DEFAULT_USUAL_SECONDS = 60;

/** Where the bar stands when nothing is known but the report itself. */
export const still = (progress, now) => ({ reported: progress, from: progress, at: now });

/** What to show at `now`: `{percent, estimated}`. */
export function shown(glide, usualSeconds, now) {
  const { from, at, reported } = glide;
  if (from >= CEILING) return { percent: Math.floor(from), estimated: Math.floor(from) > reported };
  const left = usualSeconds * (1 - from / 100);
  const elapsed = Math.max(0, now - at) / 1000;
  const percent = Math.floor(from + (CEILING - from) * Math.tanh(elapsed / left));
  return { percent, estimated: percent > reported };
}

/** The glide after a report: what was shown is never taken back. */
export function report(glide, progress, usualSeconds, now) {
  const { percent } = shown(glide, usualSeconds, now);
  const reported = Math.max(glide.reported, progress);
  return { reported, from: Math.max(percent, reported), at: now };
}
