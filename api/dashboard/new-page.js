// A new job: a form or pasted JSON, its price before anything is spent, and every complaint at its field.
import * as api from "./api.js";
import { useCatalogue } from "./catalogue.js";
import { Icon } from "./icons.js";
import { Refusal } from "./notices.js";
import { go, jobHref } from "./routes.js";
import { Field, SceneList } from "./scene-fields.js";
import { bodyOf, complaintsOf, draftOf, isWhole, newDraft, otherComplaints, submitOnce } from "./storyboard.js";
import { useTab } from "./tab.js";
import { html, useEffect, useMemo, useRef, useState } from "./view.js";
import { money, plural } from "./words.js";

const PRICE_AFTER_MS = 500;
const NO_PRICE = { cents: null, warnings: [], problem: null };
const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };

/** `{cents, warnings, problem}` of a body, asked a moment after the last change. */
function usePrice(body) {
  const [answer, setAnswer] = useState(NO_PRICE);
  const text = JSON.stringify(body);
  useEffect(() => {
    setAnswer((last) => ({ ...last, problem: null }));
    if (!body || !isWhole(body)) return setAnswer(NO_PRICE);
    let current = true;
    const keep = (value) => current && setAnswer(value);
    const ask = () => api.jobs.price(body).then(
      ({ estimate_cents, warnings }) => keep({ cents: estimate_cents, warnings, problem: null }),
      (problem) => keep({ ...NO_PRICE, problem }),
    );
    const timer = setTimeout(ask, PRICE_AFTER_MS);
    return () => { current = false; clearTimeout(timer); };
  }, [text]);
  return answer;
}

function ModelField({ draft, set, rows, complaint }) {
  const providers = [...new Set(rows.map((row) => row.provider))];
  return html`
    <${Field} label="Model" complaint=${complaint}>
      <select value=${draft.model} onChange=${(e) => set({ model: e.target.value })}>
        ${providers.map((provider) => html`<optgroup label=${provider}>
          ${rows.filter((row) => row.provider === provider).map((row) =>
            html`<option value=${row.name} selected=${row.name === draft.model}>${row.label}</option>`)}
        </optgroup>`)}
      </select><//>`;
}

function RatioField({ draft, set, ratios, complaint }) {
  const choice = (ratio) => html`
    <label class="ratio"><input type="radio" name="aspect_ratio" value=${ratio} checked=${draft.aspect_ratio === ratio}
      onChange=${() => set({ aspect_ratio: ratio })} />
      <span class="ratio-shape" style=${{ aspectRatio: ratio.replace(":", " / ") }}></span>${ratio}</label>`;
  return html`
    <fieldset class="field"><legend>Picture</legend><div class="ratios">${ratios.map(choice)}</div>
      ${complaint && html`<p class="complaint-line">${complaint}</p>`}</fieldset>`;
}

function Form({ draft, set, complaints }) {
  const rows = useCatalogue();
  const row = rows.find(({ name }) => name === draft.model);
  useEffect(() => {
    if (!draft.model && rows.length) set({ model: rows[0].name });
  }, [rows, draft.model]);
  const input = (name) => ({ value: draft[name], onInput: (e) => set({ [name]: e.target.value }) });
  return html`
    <${Field} label="Title" complaint=${complaints.title}><input ...${input("title")} placeholder="Untitled" /><//>
    <div class="two">
      <${ModelField} draft=${draft} set=${set} rows=${rows} complaint=${complaints.model} />
      <${RatioField} draft=${draft} set=${set} ratios=${row?.ratios.length ? row.ratios : ["16:9"]} complaint=${complaints.aspect_ratio} />
    </div>
    <${Field} label="Consistency context" hint="What must look the same in every scene; sent before each one." complaint=${complaints.consistency_context}>
      <textarea rows="3" ...${input("consistency_context")}></textarea><//>
    <${SceneList} scenes=${draft.scenes} durations=${row?.durations} complaints=${complaints}
      set=${(scenes) => set({ scenes })} />`;
}

const JsonForm = ({ text, setText }) => html`
  <${Field} label="Storyboard as JSON" complaint=${text.trim() && !parsed(text) ? "This is not JSON yet." : null}>
    <textarea class="code" rows="24" spellcheck="false" value=${text} onInput=${(e) => setText(e.target.value)}></textarea><//>`;

function shownFields(draft) {
  const scenes = draft.scenes.flatMap((_, i) => [`scenes.${i}.description`, `scenes.${i}.duration`]);
  return new Set(["title", "model", "aspect_ratio", "consistency_context", "scenes", ...scenes]);
}

/** Why there is no price: what the fields don't tell themselves. */
function Why({ problem, others }) {
  const count = problem?.errors.length;
  if (!count) return html`<${Refusal} problem=${problem} />`;
  if (!others.length) return html`<p class="refusal"><${Icon} name="failed" />${plural(count, "field needs", "fields need")} a change</p>`;
  return html`<ul class="refusal-list">${others.map(([field, message]) => html`
    <li class="refusal" role="alert"><${Icon} name="failed" /><span><code>${field}</code> ${message}</span></li>`)}</ul>`;
}

function Price({ body, cents, warnings, problem, busy, submit, others }) {
  const scenes = body?.scenes?.length || 0;
  return html`
    <aside class="price">
      <p class="muted">${plural(scenes, "scene")}</p>
      <p class="figure">${cents === null ? "–" : `about ${money(cents)}`}</p>
      <${Why} problem=${problem} others=${others} />
      <button class="primary" disabled=${busy || !body} onClick=${submit}>${busy ? "Submitting" : "Make the clips"}</button>
      ${warnings.map((warning) => html`<p class="small muted">${warning}</p>`)}
      <p class="small muted">Nothing is bought before you press this.</p>
    </aside>`;
}

/** The draft in its two dresses, `{draft, text, json, set, setText, turn, body}`. */
function useDraft() {
  const [draft, setDraft] = useState(newDraft);
  const [text, setText] = useState("");
  const [json, setJson] = useState(false);
  const body = useMemo(() => (json ? parsed(text) : bodyOf(draft)), [json, text, draft]);
  const turn = (wanted) => {
    if (wanted === json) return;
    if (wanted) setText(JSON.stringify(bodyOf(draft), null, 2));
    else if (body) setDraft(draftOf(body));
    setJson(wanted);
  };
  const fill = (storyboard) => {
    setDraft(draftOf(storyboard));
    setText(JSON.stringify(storyboard, null, 2));
  };
  return { draft, text, json, body, turn, fill, setText, set: (changes) => setDraft((last) => ({ ...last, ...changes })) };
}

/** `{busy, refused, submit}`: sends the body once, and keeps the refusal until the body changes. */
function useSubmit(body) {
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(null);
  const sent = useRef(null);
  const text = JSON.stringify(body);
  const submit = async () => {
    sent.current = text;
    setBusy(true);
    try {
      go(jobHref((await submitOnce(body)).id));
    } catch (problem) {
      setRefused(problem);
      setBusy(false);
    }
  };
  return { busy, submit, refused: sent.current === text ? refused : null };
}

export function NewPage() {
  const form = useDraft();
  const price = usePrice(form.body);
  const { busy, refused, submit } = useSubmit(form.body);
  useTab("New job · Dailies");
  const problem = refused || price.problem;
  const complaints = complaintsOf(problem);
  const others = otherComplaints(problem, form.json ? new Set() : shownFields(form.draft));
  const tab = (json, name) => html`<button aria-pressed=${form.json === json ? "true" : "false"} onClick=${() => form.turn(json)}>${name}</button>`;
  return html`
    <div class="page-head"><h1>New job</h1>
      <div role="group" class="tabs" aria-label="How to write it">${tab(false, "Form")}${tab(true, "JSON")}</div>
      <button class="quiet" onClick=${() => api.sampleStoryboard().then(form.fill)}>Fill in the sample</button></div>
    <div class="new">
      <div class="new-form">${form.json ? html`<${JsonForm} ...${form} />` : html`<${Form} ...${form} complaints=${complaints} />`}</div>
      <${Price} body=${form.body} cents=${price.cents} warnings=${price.warnings} problem=${problem} busy=${busy} submit=${submit} others=${others} />
    </div>`;
}
