// Everything about one clip: its takes side by side, what each was asked for and cost, and a way to make another.
import { useCatalogue } from "./catalogue.js";
import { promptOf, Voice } from "./clip-card.js";
import { useSeconds } from "./clock.js";
import { Icon } from "./icons.js";
import { isOver, progressOf, sameFile } from "./job.js";
import { complain, Refusal } from "./notices.js";
import { Picture } from "./picture.js";
import { Field } from "./scene-fields.js";
import { Sheet } from "./sheet.js";
import { html, useEffect, useState } from "./view.js";
import { clipLine, clock, failedWords, insteadWords, modelName, money, partName, partWords, reason, STATES, tone } from "./words.js";

const TONES = { done: "done", failed: "failed", cancelled: "off" };

function Take({ take, clip, store, busy, choose }) {
  const state = TONES[take.state] || "moving";
  const shown = clip.status === "complete" && sameFile(take.url, clip.url);
  const words = take.prompt.split("SCENE: ").pop();
  const name = `take ${take.number}`;
  const start = new Date(take.started_at);
  const took = take.finished_at && `took ${clock((Date.parse(take.finished_at) - start) / 1000)}`;
  const said = take.error ? failedWords(take.error) : STATES[take.state] || take.state;
  const facts = [modelName(take.model), take.seed !== null && `seed ${take.seed}`, take.cost_cents && money(take.cost_cents),
    start.toLocaleString([], { dateStyle: "short", timeStyle: "short" }), took];
  return html`
    <li class=${`take tone-${state}${shown ? " shown" : ""}`} aria-label=${name}>
      <div class="picture">${take.url
        ? html`<${Picture} url=${take.url} poster=${take.thumbnail_url} name=${name} words="" refresh=${() => store.renew(clip.index)} />`
        : html`<div class="prompt">${said}</div>`}</div>
      <p class="state-line"><${Icon} name=${state} />Take ${take.number}${shown && html`<span class="badge">chosen</span>`}</p>
      <p class="take-prompt" title=${words}>${words}</p>
      <p class="small muted">${facts.filter(Boolean).join(" · ")}</p>
      ${take.url && !shown && html`<button disabled=${busy} aria-label=${`Choose ${name}`} onClick=${() => choose(take)}>Choose</button>`}
    </li>`;
}

function Takes({ clip, store }) {
  const [busy, setBusy] = useState(false);
  const choose = (take) => {
    setBusy(true);
    store.choose(clip.index, take.attempt_id).catch(complain).finally(() => setBusy(false));
  };
  return html`<ol class="takes">${clip.takes.filter((take) => take.url || take.cost_cents || take.state !== "cancelled").map((take) => html`
    <${Take} key=${take.attempt_id} take=${take} clip=${clip} store=${store} busy=${busy || !isOver(clip)} choose=${choose} />`)}</ol>`;
}

const MOST_SEED = 2 ** 31;

/** What of the form is another than the clip is now; for a clip that is there, at least the dice fall again. */
function changesOf(clip, { prompt, seed, model }) {
  const changes = {};
  if (prompt.trim() !== promptOf(clip)) changes.prompt = prompt.trim();
  if (seed !== "") changes.seed = Number(seed);
  if (model !== clip.model) changes.model = model;
  if (clip.status === "complete" && !Object.keys(changes).length) changes.seed = Math.floor(Math.random() * MOST_SEED);
  return changes;
}

function RetryForm({ clip, store, close }) {
  const done = clip.status === "complete";
  const [form, set] = useState({ prompt: promptOf(clip), seed: "", model: clip.model });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const rows = useCatalogue();
  const input = (name) => ({ value: form[name], onInput: (e) => set({ ...form, [name]: e.target.value }) });
  const submit = (event) => {
    event.preventDefault();
    setBusy(true);
    store.retry(clip.index, changesOf(clip, form)).then(done ? () => setBusy(false) : close, (refusal) => {
      setProblem(refusal);
      setBusy(false);
    });
  };
  const models = rows.some((row) => row.name === clip.model) ? rows : [{ name: clip.model, label: modelName(clip.model) }, ...rows];
  return html`
    <form onSubmit=${submit}>
      <h3>${done ? "Another take" : "Try again"}</h3>
      <${Field} label="Prompt"><textarea rows="4" autofocus=${!done} ...${input("prompt")}></textarea><//>
      <div class="two">
        <${Field} label="Seed"><input type="number" min="0" max=${MOST_SEED - 1} placeholder="Random" ...${input("seed")} /><//>
        <${Field} label="Model"><select ...${input("model")}>${models.map((row) => html`
          <option value=${row.name} selected=${row.name === form.model}>${row.label}</option>`)}</select><//></div>
      <${Refusal} problem=${problem} />
      <p class="actions"><button class="primary" disabled=${busy || !form.prompt.trim()}>${done ? "Make a take" : "Retry"}</button></p>
    </form>`;
}

const Parts = ({ clip }) => html`<ul class="parts">${clip.parts.map((part) => html`
  <li class=${`state-line tone-${tone(part)}`}><${Icon} name=${tone(part)} />${part.kind === "audio" && clip.narration_url
    ? html`<${Voice} url=${clip.narration_url} />` : partName(part)}<span class="small muted">${modelName(part.model)} · ${partWords(part)}</span></li>`)}</ul>`;

const Facts = ({ clip }) => {
  const rows = [
    ["Model", modelName(clip.model)], ["Provider", clip.provider],
    ["Scene", clip.original_target_duration && `${clip.original_target_duration} s`],
    ["Ordered", clip.requested_duration && `${clip.requested_duration} s`],
    ["Length", clip.duration && `${clip.duration.toFixed(2)} s`],
    ["Cost", money(clip.cost_cents)],
    ["File", clip.url && html`<a href=${clip.url} download>Download</a>`],
    ["Keyframe", clip.keyframe_url && html`<img class="keyframe" src=${clip.keyframe_url} alt="The picture it starts from" />`],
  ].filter(([, value]) => value);
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
};

export function ClipSheet({ clip, store, close }) {
  const state = tone(clip);
  const now = useSeconds(!isOver(clip));
  const said = clipLine(clip, progressOf(clip, store.state.usualSeconds, now), (now - clip.waitingSince) / 1000);
  useEffect(() => {
    store.loadClip(clip.index);
  }, [clip.index, clip.status]);
  return html`
    <${Sheet} side wide=${clip.takes?.length > 1} title=${`Clip ${clip.index + 1}`} close=${close}>
      <p class=${`state-line tone-${state}`}><${Icon} name=${state} />${said}</p>
      ${clip.error && html`<p>${reason(clip.error)}</p>`}
      ${insteadWords(clip) && html`<p class="muted">${insteadWords(clip)}</p>`}
      ${clip.parts?.length > 0 && html`<${Parts} clip=${clip} />`}
      ${clip.takes?.length > 0 && html`<${Takes} clip=${clip} store=${store} />`}
      ${isOver(clip) ? html`<${RetryForm} key=${clip.status} clip=${clip} store=${store} close=${close} />` : !clip.takes?.length && html`<p class="full-prompt">${promptOf(clip)}</p>`}
      <${Facts} clip=${clip} />
    <//>`;
}
