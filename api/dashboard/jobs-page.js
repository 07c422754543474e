// The list of jobs: what is going, what came out, what it cost; and a storyboard to try when there is none.
import * as api from "./api.js";
import { useSeconds, useSeen } from "./clock.js";
import { Icon } from "./icons.js";
import { sameLinks } from "./job.js";
import { moveFocus, Search, useKeys } from "./keys.js";
import * as live from "./live.js";
import { complain, Trouble } from "./notices.js";
import { go, jobHref } from "./routes.js";
import { submitOnce } from "./storyboard.js";
import { useTab } from "./tab.js";
import { html, useEffect, useReducer, useRef, useState } from "./view.js";
import * as words from "./words.js";

const PAGE = 50;
const MOST = 200;
const POLL_MS = 5000;
const STRIP = 5;

function listReducer(state, { type, answer, event }) {
  if (type === "page") {
    const jobs = answer.start ? [...state.jobs.slice(0, answer.start), ...answer.jobs] : answer.jobs;
    return { jobs, more: answer.has_more ? answer.next_start_index : null, problem: null };
  }
  if (type === "problem") return state.jobs ? state : { ...state, problem: answer };
  const jobs = state.jobs.map((job) => (job.id === event.job_id ? heard(job, type, event) : job));
  return { ...state, jobs };
}

function heard(job, type, event) {
  if (type === "job_complete") {
    return { ...job, state: event.state, total_seconds: event.total_seconds, actual_cents: event.actual_cents };
  }
  const state = job.state === "queued" ? "running" : job.state;
  return { ...job, state, progress: event.progress, clips: { complete: event.complete, failed: event.failed, total: event.total } };
}

/** `[state, load(start)]`: the list, kept true by the owner's events, or by asking again while there are none. */
function useJobs() {
  const [state, dispatch] = useReducer(listReducer, { jobs: null, more: null, problem: null });
  const latest = useRef(state);
  latest.current = state;
  const asked = useRef(0);
  const load = (start = 0, limit = PAGE) => {
    const nth = ++asked.current;
    return api.jobs.list(start, limit).then(
      (answer) => (start || nth === asked.current) && dispatch({ type: "page", answer: { ...answer, start } }),
      (problem) => dispatch({ type: "problem", answer: problem }),
    );
  };
  useEffect(() => {
    let subscribed = false;
    const reload = () => load(0, Math.min(MOST, Math.max(PAGE, latest.current.jobs?.length || 0)));
    const hear = (type, event) => {
      if (type !== "job_progress" && type !== "job_complete") return;
      const known = latest.current.jobs?.find((job) => job.id === event.job_id);
      if (known) dispatch({ type, event });
      if (!known || words.jobIsOver(known) || type === "job_complete") reload();
    };
    const subscription = live.watch({
      call: "subscribe_list", ask: () => ({}), heard: hear,
      subscribed: (ack) => { subscribed = ack !== null; reload(); },
    });
    const poller = setInterval(() => (subscribed && live.isLive()) || reload(), POLL_MS);
    reload();
    return () => { subscription.stop(); clearInterval(poller); };
  }, []);
  return [state, load];
}

/** The first clips of a job, as pictures; read when the row is seen, and again when one more is done. */
function useFirstClips(job, seen) {
  const [clips, setClips] = useState([]);
  useEffect(() => {
    const keep = (old, fresh) => fresh.map((clip, i) => ({ ...clip, ...sameLinks(old[i], clip) }));
    let current = true;
    if (seen) api.jobs.clips(job.id, STRIP).then((answer) => current && setClips((old) => keep(old, answer.clips)), () => {});
    return () => (current = false);
  }, [seen, job.clips.complete, job.state]);
  return clips;
}

function Strip({ job, clips, box }) {
  const cells = Array.from({ length: Math.min(STRIP, job.clips.total) }, (_, i) => clips[i]);
  const picture = (clip) => clip?.thumbnail_url && html`<img src=${clip.thumbnail_url} alt="" loading="lazy" />`;
  return html`<span class="strip" ref=${box} aria-hidden="true">
    ${cells.map((clip) => html`<span class=${`tone-${clip ? words.tone(clip) : "waiting"}`}>${picture(clip)}</span>`)}</span>`;
}

const took = (job, now) => job.total_seconds ?? (words.jobIsOver(job) ? null : (now - Date.parse(job.created_at)) / 1000);

function Row({ job, now }) {
  const tone = words.jobTone(job);
  const seconds = took(job, now);
  const [ref, seen] = useSeen();
  const clips = useFirstClips(job, seen);
  return html`
    <li><a class=${`row tone-${tone}`} href=${jobHref(job.id)}>
      <${Strip} job=${job} clips=${clips} box=${ref} />
      <span class="row-title"><b>${words.titleOf(job, clips)}</b>
        <span class="row-state"><${Icon} name=${tone} />${words.jobWords(job)}</span></span>
      <span class="row-progress">
        <span class="bar-track"><span class="bar-fill" style=${{ transform: `scaleX(${(job.progress || 0) / 100})` }}></span></span>
        <span>${job.clips.complete}/${job.clips.total} saved</span></span>
      <span class="row-time"><span>${seconds === null ? "" : words.clock(seconds)}</span>
        <span class="muted">${words.ago(job.created_at, now)}</span></span>
      <span class="row-cost">${job.actual_cents ? words.money(job.actual_cents) : ""}</span>
    </a></li>`;
}

const Skeleton = () => html`
  <ul class="rows" aria-hidden="true">${[0, 1, 2].map(() => html`<li><span class="row skeleton">
    <span class="strip"></span><span class="row-title"><b>\u00a0</b><span>\u00a0</span></span></span></li>`)}</ul>`;

async function submitSample() {
  try {
    const job = await submitOnce(await api.sampleStoryboard());
    go(jobHref(job.id));
  } catch (problem) {
    complain(problem);
  }
}

function Empty() {
  const [sample, setSample] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    api.sampleStoryboard().then(setSample, () => {});
  }, []);
  const run = () => {
    setBusy(true);
    submitSample().finally(() => setBusy(false));
  };
  return html`
    <section class="empty">
      <h1>No jobs yet</h1>
      <p>Give Dailies a storyboard and it brings back the clips. Here is one to try.</p>
      <ol class="board">${(sample?.scenes || []).map((scene) => html`<li>${scene.description}</li>`)}</ol>
      <p class="actions">
        <button class="primary" disabled=${busy} onClick=${run}>Make ${sample ? `“${sample.title}”` : "the sample"}</button>
        <a class="button" href="/jobs/new">Write your own</a>
      </p>
    </section>`;
}

const KEYS = { j: () => moveFocus(".rows a", 1), k: () => moveFocus(".rows a", -1) };

const matches = (job, sought) => `${job.title} ${job.state} ${job.id}`.toLowerCase().includes(sought.toLowerCase());

export function JobsPage() {
  const [{ jobs, more, problem }, load] = useJobs();
  const [sought, seek] = useState("");
  const going = (jobs || []).filter((job) => !words.jobIsOver(job));
  const now = useSeconds(going.length > 0);
  useKeys(KEYS);
  useTab(going.length ? `${going.length} going · Dailies` : "Dailies", going.length ? "moving" : null);
  if (problem) return html`<${Trouble} title="The jobs can't be listed" problem=${problem}><button onClick=${() => load()}>Try again</button><//>`;
  if (jobs?.length === 0) return html`<${Empty} />`;
  const shown = (jobs || []).filter((job) => matches(job, sought));
  return html`
    <div class="page-head"><h1>Jobs</h1>
<${Search} what="jobs" value=${sought} seek=${seek} /></div>
    ${jobs ? html`<ul class="rows">${shown.map((job) => html`<${Row} key=${job.id} job=${job} now=${now} />`)}</ul>` : html`<${Skeleton} />`}
    ${jobs && !shown.length && html`<p class="muted">No job here matches “${sought}”.</p>`}
    ${more !== null && html`<p class="actions"><button onClick=${() => load(more)}>Show more</button></p>`}`;
}
