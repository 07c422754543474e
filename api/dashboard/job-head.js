// The top of a job's page: the film, or what there is of it, and beside it how far, how long, how much.
import { useSeconds } from "./clock.js";
import { Icon } from "./icons.js";
import { counts, progressOf, spentCents } from "./job.js";
import { complain } from "./notices.js";
import { Picture } from "./picture.js";
import { Confirm } from "./sheet.js";
import { html, useState } from "./view.js";
import { clock, jobIsOver, jobTone, jobWords, money, plural, titleOf, tone } from "./words.js";

const MOST_SLICES = 24;
const MOST_SEGMENTS = 80;

/** Until there is a film, its frame is cut into one slice per clip, each filled as the clip comes in. */
function Slices({ clips }) {
  const every = Math.max(1, Math.ceil(clips.length / MOST_SLICES));
  const some = clips.filter((_, i) => i % every === 0);
  return html`<div class="slices" aria-hidden="true">${some.map((clip) => html`
    <span class=${`slice tone-${tone(clip)}`}>${clip.thumbnail_url ? html`<img src=${clip.thumbnail_url} alt="" />` : html`<${Icon} name=${tone(clip)} />`}</span>`)}</div>`;
}

const Film = ({ job, clips, refresh }) => html`
  <div class="film">${job.film?.url
    ? html`<${Picture} url=${job.film.url} poster=${job.film.thumbnail_url || clips.find((clip) => clip.thumbnail_url)?.thumbnail_url}
        name="the film" words="" refresh=${refresh} />`
    : html`<${Slices} clips=${clips} />`}
    ${job.film && !jobIsOver(job) && html`<p class="film-note">This film stays until the new one is there</p>`}</div>`;

/** How far the whole is, as its cards show it: `{percent, estimated}`. */
function wholeProgress(job, shown) {
  const mean = shown.reduce((sum, each) => sum + each.percent, 0) / Math.max(1, shown.length);
  return { percent: Math.floor(Math.max(mean, job.progress || 0)), estimated: shown.some((each) => each.estimated) };
}

const segmentOf = (clip, { percent }) => [tone(clip), clip.status === "failed" || clip.status === "cancelled" ? 100 : percent];

function Total({ job, clips, shown, whole }) {
  const segments = clips.length <= MOST_SEGMENTS ? clips.map((clip, i) => segmentOf(clip, shown[i])) : [[jobTone(job), whole.percent]];
  return html`
    <div class="total" role="progressbar" aria-label="The whole job" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${whole.percent}>
      ${segments.map(([state, percent]) => html`<span class=${`segment tone-${state}`}>
        <span style=${{ transform: `scaleX(${percent / 100})` }}></span></span>`)}
    </div>`;
}

function countWords(count) {
  const parts = [`${count.complete} of ${count.total} saved`];
  if (count.moving) parts.push(`${count.moving} moving`);
  if (count.waiting) parts.push(`${count.waiting} waiting`);
  if (count.failed) parts.push(`${count.failed} failed`);
  if (count.cancelled) parts.push(`${count.cancelled} cancelled`);
  return parts.join(" · ");
}

function Figures({ job, state, count, now }) {
  const seconds = job.total_seconds ?? (jobIsOver(job) ? null : (now - Date.parse(job.created_at)) / 1000);
  const spent = spentCents(state);
  const estimate = job.estimate_cents >= spent && !jobIsOver(job) ? ` of about ${money(job.estimate_cents)}` : "";
  const figure = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<dl class="figures">
    ${figure("Clips", countWords(count))}
    ${seconds !== null && figure(jobIsOver(job) ? "Took" : "Going for", clock(seconds))}
    ${figure("Cost", `${money(spent)}${estimate}`)}
  </dl>`;
}

const cancelWords = (count) => {
  const running = count.moving ? `${plural(count.moving, "prediction is", "predictions are")} running and may be charged. ` : "";
  const waiting = count.waiting ? `${plural(count.waiting, "waiting clip")} will not be made. ` : "";
  const kept = count.complete ? `${plural(count.complete, "saved clip is", "saved clips are")} kept.` : "";
  return `${running}${waiting}${kept}`;
};

function Actions({ job, clips, count, store }) {
  const [asking, ask] = useState(false);
  const [busy, setBusy] = useState(false);
  const run = (action) => {
    setBusy(true);
    action().catch(complain).finally(() => setBusy(false));
  };
  const flagged = clips.filter((clip) => clip.status === "failed" && clip.error?.code === "moderated").length;
  const missing = count.failed + count.cancelled - flagged;
  const over = jobIsOver(job);
  const stale = clips.filter((clip) => clip.stale).length;
  return html`
    <p class="actions">
      ${!over && html`<button disabled=${busy} onClick=${() => ask(true)}>Cancel the job</button>`}
      ${over && missing > 0 && html`<button class="primary" disabled=${busy} onClick=${() => run(store.resume)}>Resume ${plural(missing, "clip")}</button>`}
      ${over && stale > 0 && html`<button disabled=${busy} onClick=${() => run(store.retryStale)}>Bring ${plural(stale, "clip")} up to date</button>`}
      ${job.film?.url && html`<a class="button" href=${job.film.url} download><${Icon} name="save" />Download the film</a>`}
      ${asking && html`<${Confirm} title="Cancel this job?" yes="Cancel the job" no="Keep it going"
        act=${() => run(store.cancel)} close=${() => ask(false)}>${cancelWords(count)}<//>`}
    </p>`;
}

export function JobHead({ store }) {
  const { job, clips } = store.state;
  const now = useSeconds(!jobIsOver(job));
  const count = counts(clips);
  const state = jobTone(job);
  const shown = clips.map((clip) => progressOf(clip, store.state.usualSeconds, now));
  const whole = wholeProgress(job, shown);
  const far = jobIsOver(job) ? "" : `${whole.estimated ? "about " : ""}${whole.percent} %`;
  return html`
    <section class="head" aria-label="The job">
      <${Film} job=${job} clips=${clips} refresh=${() => store.renew()} />
      <div class="head-words">
        <h1>${titleOf(job, clips)}</h1>
        <p class=${`state-line tone-${state}`}><${Icon} name=${state} />${jobWords(job)} <span class="figure-inline">${far}</span></p>
        <${Total} job=${job} clips=${clips} shown=${shown} whole=${whole} />
        <${Figures} job=${job} state=${store.state} count=${count} now=${now} />
        ${(job.warnings || []).map((warning) => html`<p class="small muted">${warning}</p>`)}
        <${Actions} job=${job} clips=${clips} count=${count} store=${store} />
      </div>
    </section>`;
}
