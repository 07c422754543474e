// A job's page: its head, then all clips at once or their timeline.
import * as catalogue from "./catalogue.js";
import { ClipCard, promptOf, retryOrEdit } from "./clip-card.js";
import { ClipSheet } from "./clip-sheet.js";
import { Icon } from "./icons.js";
import { counts } from "./job.js";
import { JobHead } from "./job-head.js";
import { useJob } from "./job-store.js";
import { moveFocus, Search, useKeys } from "./keys.js";
import { Trouble } from "./notices.js";
import { togglePlay } from "./picture.js";
import { speak } from "./speak.js";
import { useTab } from "./tab.js";
import { Timeline } from "./timeline.js";
import { html, useEffect, useRef, useState } from "./view.js";
import { clipLine, jobIsOver, jobTone, jobWords, spoken, titleOf } from "./words.js";

const focusedClip = () => document.activeElement?.closest("[data-clip]");

function clipKeys(store, open) {
  const act = (action) => () => {
    const card = focusedClip();
    if (card) action(card, store.state.clips[Number(card.dataset.clip)]);
  };
  return {
    j: () => moveFocus("li:not([hidden]) > [data-clip]", 1),
    k: () => moveFocus("li:not([hidden]) > [data-clip]", -1),
    " ": act((card) => togglePlay(card)),
    r: act((_, clip) => retryOrEdit(store, clip, open)),
    Enter: act((_, clip) => open(clip.index)),
  };
}

/** Screen readers hear what changed its state since the last drawing; not what was so from the start. */
function useSpeech({ job, clips }) {
  const last = useRef(null);
  useEffect(() => {
    const states = clips.map((clip) => clip.status);
    if (last.current) clips.forEach((clip, i) => states[i] !== last.current.states[i] && speak(spoken(clip)));
    if (last.current && job.state !== last.current.job) speak(`${titleOf(job, clips)}: ${jobWords(job)}`);
    if (job) last.current = { states, job: job.state };
  }, [job, clips]);
}

function tabTitle(job, clips) {
  if (!job) return "Dailies";
  const count = counts(clips);
  const mark = { done: "✓ ", you: "! ", failed: "✗ " }[jobTone(job)] || "";
  return `${mark}${jobIsOver(job) && job.state === "complete" ? "" : `${count.complete}/${count.total} · `}${titleOf(job, clips)}`;
}

const Skeleton = () => html`
  <div aria-hidden="true">
    <span class="back">\u00a0</span>
    <section class="head"><div class="film skeleton"></div><div class="head-words"><h1 class="skeleton">\u00a0</h1></div></section>
    <div class="page-head"></div>
    <ol class="bin">${[0, 1, 2, 3, 4].map(() => html`<li><div class="card"><div class="picture skeleton"></div></div></li>`)}</ol>
  </div>`;

function matches(clip, sought) {
  if (!sought) return true;
  const text = `${clip.index + 1} ${promptOf(clip)} ${clipLine(clip, { percent: clip.progress })}`;
  return text.toLowerCase().includes(sought.toLowerCase());
}

function Views({ store, tab, open }) {
  const [sought, seek] = useState("");
  const { clips, job } = store.state;
  const hidden = clips.map((clip) => !matches(clip, sought));
  const link = (hash, name) => html`<a href=${`#${hash}`} aria-current=${(tab === "timeline") === (hash === "timeline") ? "true" : undefined}>${name}</a>`;
  return html`
    <div class="page-head">
      <nav class="tabs" aria-label="View">${link("clips", "Clips")}${link("timeline", "Timeline")}</nav>
      <${Search} what="clips" value=${sought} seek=${seek} />
    </div>
    ${tab === "timeline"
      ? html`<${Timeline} store=${store} hidden=${hidden} open=${open} />`
      : html`<ol class="bin" data-shape=${shapeOf(job.aspect_ratio)}>${clips.map((clip, i) =>
          html`<${ClipCard} key=${clip.clip_id} clip=${clip} hidden=${hidden[i]} store=${store} open=${open} />`)}</ol>`}
    ${hidden.length > 0 && hidden.every(Boolean) && html`<p class="muted">No clip matches “${sought}”.</p>`}`;
}

const ratioOf = (words) => {
  const [width, height] = (words || "16:9").split(":").map(Number);
  return width && height ? width / height : 16 / 9;
};
const shapeOf = (words) => (ratioOf(words) < 0.9 ? "tall" : ratioOf(words) < 1.2 ? "square" : "wide");

export function JobPage({ id, tab }) {
  const store = useJob(id, catalogue.usualSeconds);
  const { job, clips } = store.state;
  const [opened, open] = useState(null);
  useEffect(() => {
    catalogue.load().catch(() => {});
  }, []);
  useKeys(clipKeys(store, open));
  useSpeech(store.state);
  useTab(tabTitle(job, clips), job && jobTone(job));
  if (!job && store.problem) {
    return html`<${Trouble} title="This job can't be shown" problem=${store.problem}><a class="button" href="/">All jobs</a><//>`;
  }
  if (!job) return html`<${Skeleton} />`;
  return html`
    <div class="job" style=${{ "--ratio": String(ratioOf(job.aspect_ratio)) }} data-shape=${shapeOf(job.aspect_ratio)}>
      <a class="back" href="/"><${Icon} name="back" />Jobs</a>
      <${JobHead} store=${store} />
      <${Views} store=${store} tab=${tab} open=${open} />
      ${opened !== null && clips[opened] && html`<${ClipSheet} clip=${clips[opened]} store=${store} close=${() => open((now) => (now === opened ? null : now))} />`}
    </div>`;
}
