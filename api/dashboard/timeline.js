// The second tab of a job: one row per clip on one time axis, so that an idle slot can be seen.
import { promptOf } from "./clip-card.js";
import { useSeconds, useSeen } from "./clock.js";
import { Icon } from "./icons.js";
import { axisOf, spansOf } from "./spans.js";
import { html, useEffect, useState } from "./view.js";
import { clock, failedWords, jobIsOver, money, number, tone, waitingWords } from "./words.js";

const KINDS = { waiting: "waiting", rendering: "rendering", fetching: "saving the file" };

function spanWords(clip, span) {
  const seconds = ((span.end - span.start) / 1000).toFixed(1);
  const parts = [`Clip ${clip.index + 1}`];
  if (span.take) parts.push(`take ${span.take.number}`);
  parts.push(`${KINDS[span.kind]} ${seconds} s`);
  if (span.take) parts.push(span.take.account);
  if (span.waiting) parts.push(waitingWords(span.waiting, 0, clip.provider));
  if (span.take?.error) parts.push(`failed: ${failedWords(span.take.error)}`);
  if (span.take?.cost_cents) parts.push(money(span.take.cost_cents));
  return parts.join(" · ");
}

function Span({ clip, span, start, end, tell }) {
  const left = (span.start - start) / 10 / end;
  const width = (span.end - span.start) / 10 / end;
  const text = spanWords(clip, span);
  const show = () => tell(text);
  return html`<button class=${`span ${span.kind} tone-${span.tone}`} tabindex="-1" aria-label=${text}
    style=${{ left: `${left}%`, width: `${Math.max(width, 0.2)}%` }} onMouseEnter=${show} onFocus=${show} onClick=${show}></button>`;
}

function Row({ clip, job, now, axis, start, store, tell, hidden }) {
  const [ref, seen] = useSeen();
  useEffect(() => {
    if (seen && clip.takesStale) store.loadClip(clip.index);
  }, [seen, clip.takesStale]);
  const spans = seen && clip.takes ? spansOf(clip, job, now) : [];
  const state = tone(clip);
  const longest = spans.reduce((found, span) => (found && found.end - found.start >= span.end - span.start ? found : span), null);
  const summary = () => tell(longest ? spanWords(clip, longest) : `Clip ${clip.index + 1}`);
  return html`
    <li hidden=${hidden}><div ref=${ref} class="time-row" role="group" data-clip=${clip.index} tabindex="0" onFocus=${summary} aria-label=${`Clip ${clip.index + 1}: ${promptOf(clip)}`}>
      <span class=${`time-name tone-${state}`}><${Icon} name=${state} /><span class="index">${number(clip.index)}</span><span class="time-prompt">${promptOf(clip)}</span></span>
      <span class="time-track">${spans.map((span) => html`
        <${Span} clip=${clip} span=${span} start=${start} end=${axis.end} tell=${tell} />`)}</span>
    </div></li>`;
}

function Legend() {
  const item = (kind, state, name) => html`<span><span class=${`swatch span ${kind} tone-${state}`}></span>${name}</span>`;
  return html`<p class="legend small muted">${item("waiting", "waiting", "waiting")}${item("rendering", "moving", "rendering")}
    ${item("fetching", "moving", "saving")}${item("rendering", "failed", "failed")}</p>`;
}

/** Until when the axis must reach: the last thing that happened, or now. */
function until(job, clips, now) {
  if (!jobIsOver(job)) return now;
  const ends = clips.flatMap((clip) => (clip.takes || []).map((take) => Date.parse(take.finished_at || take.started_at)));
  return Math.max(Date.parse(job.finished_at || job.created_at), ...ends);
}

export function Timeline({ store, hidden }) {
  const { job, clips } = store.state;
  const now = useSeconds(!jobIsOver(job));
  const [told, tell] = useState("");
  const start = Date.parse(job.created_at);
  const axis = axisOf(Math.max(1, (until(job, clips, now) - start) / 1000));
  return html`
    <section class="timeline" aria-label="Timeline">
      <div class="time-axis" aria-hidden="true"><span></span><span class="time-track">${axis.ticks.map((tick) => html`
        <span class="tick" style=${{ left: `${(tick / axis.end) * 100}%` }}>${clock(tick)}</span>`)}</span></div>
      <ol class="time-rows">${clips.map((clip, i) => html`<${Row} key=${clip.clip_id} clip=${clip} job=${job} now=${now} axis=${axis}
        start=${start} store=${store} tell=${tell} hidden=${hidden[i]} />`)}</ol>
      <div class="told"><${Legend} /><p role="status">${told || "Point at a bar, or move with j and k, to read what it was."}</p></div>
    </section>`;
}
