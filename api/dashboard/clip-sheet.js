// Everything about one clip: its prompt, its attempts, what each cost, and a retry with another prompt.
import { promptOf } from "./clip-card.js";
import { Icon } from "./icons.js";
import { Refusal } from "./notices.js";
import { Field } from "./scene-fields.js";
import { Sheet } from "./sheet.js";
import { html, useEffect, useState } from "./view.js";
import { clipLine, clock, failedWords, STATES, modelName, money, tone } from "./words.js";

const TAKE_TONES = { done: "done", failed: "failed", cancelled: "off" };

function Take({ take }) {
  const start = Date.parse(take.started_at);
  const seconds = take.finished_at ? (Date.parse(take.finished_at) - start) / 1000 : null;
  const facts = [seconds === null ? null : clock(seconds), take.cost_cents ? money(take.cost_cents) : null,
    take.account, take.seed ? `seed ${take.seed}` : null].filter(Boolean);
  const state = TAKE_TONES[take.state] || "moving";
  return html`
    <li class=${`take tone-${state}`}><${Icon} name=${state} />
      <div><b>Take ${take.number}</b> ${take.error ? `failed: ${failedWords(take.error)}` : STATES[take.state] || take.state}
        <p class="small muted">${new Date(start).toLocaleTimeString()} · ${facts.join(" · ")}</p></div></li>`;
}

function RetryForm({ clip, store, close }) {
  const [prompt, setPrompt] = useState(promptOf(clip));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    setBusy(true);
    const changes = prompt.trim() === promptOf(clip) ? {} : { prompt: prompt.trim() };
    store.retry(clip.index, changes).then(close, (refusal) => {
      setProblem(refusal);
      setBusy(false);
    });
  };
  return html`
    <form onSubmit=${submit}>
      <${Field} label="Prompt"><textarea rows="6" autofocus value=${prompt} onInput=${(e) => setPrompt(e.target.value)}></textarea><//>
      <${Refusal} problem=${problem} />
      <p class="actions"><button class="primary" disabled=${busy || !prompt.trim()}>Retry</button></p>
    </form>`;
}

const Facts = ({ clip }) => {
  const rows = [
    ["Model", modelName(clip.model)], ["Provider", clip.provider],
    ["Asked for", clip.requested_duration && `${clip.requested_duration} s`],
    ["Length", clip.duration && `${clip.duration.toFixed(2)} s`],
    ["Cost", money(clip.cost_cents)],
    ["File", clip.url && html`<a href=${clip.url} download>Download</a>`],
  ].filter(([, value]) => value);
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
};

export function ClipSheet({ clip, store, close }) {
  const canRetry = clip.status === "failed" || clip.status === "cancelled";
  const state = tone(clip);
  useEffect(() => {
    store.loadClip(clip.index);
  }, [clip.index, clip.status]);
  return html`
    <${Sheet} side title=${`Clip ${clip.index + 1}`} close=${close}>
      <p class=${`state-line tone-${state}`}><${Icon} name=${state} />${clipLine(clip, { percent: clip.progress, estimated: false })}</p>
      ${canRetry && clip.error?.message && html`<p>${clip.error.message}</p>`}
      ${canRetry ? html`<${RetryForm} clip=${clip} store=${store} close=${close} />` : html`<p class="full-prompt">${promptOf(clip)}</p>`}
      <${Facts} clip=${clip} />
      ${clip.takes?.length > 0 && html`<h3>Takes</h3><ol class="takes">${clip.takes.map((take) => html`<${Take} take=${take} />`)}</ol>`}
    <//>`;
}
