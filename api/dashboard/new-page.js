// A new job: a form or pasted JSON, its price before anything is spent, and every complaint at its field.
import * as api from "./api.js";
import { useCatalogue } from "./catalogue.js";
import { Icon } from "./icons.js";
import { complain, Refusal } from "./notices.js";
import { go, jobHref } from "./routes.js";
import { Field, SceneList } from "./scene-fields.js";
import { bodyOf, complaintAt, complaintsOf, draftOf, isWhole, newDraft, otherComplaints, submitOnce } from "./storyboard.js";
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

/** A model of a kind; the first that there is, until another is chosen. */
function ModelField({ draft, set, preset, kind, name, label, complaints }) {
  const rows = useCatalogue(kind);
  const providers = [...new Set(rows.map((row) => row.provider))];
  useEffect(() => {
    if (!draft[name] && rows.length) preset(name, rows[0].name);
  }, [rows, draft[name]]);
  return html`
    <${Field} label=${html`${label} <span class="small muted">at ${draft[name].split("/")[0]}</span>`} complaint=${complaints[name]}>
      <select value=${draft[name]} onChange=${(e) => set({ [name]: e.target.value })}>
        ${providers.map((provider) => html`<optgroup label=${provider}>
          ${rows.filter((row) => row.provider === provider).map((row) =>
            html`<option value=${row.name} selected=${row.name === draft[name]}>${row.label}</option>`)}
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

function Form({ draft, set, preset, complaints }) {
  const rows = useCatalogue();
  const row = rows.find(({ name }) => name === draft.model);
  const maker = (kind, name, label) => html`<${ModelField} ...${{ draft, set, preset }} kind=${kind} name=${name} label=${label} complaints=${complaints} />`;
  const wanted = (part) => draft.scenes.some((scene) => scene[part]);
  const input = (name) => ({ value: draft[name], onInput: (e) => set({ [name]: e.target.value }) });
  return html`
    <${Field} label="Title" complaint=${complaints.title}><input ...${input("title")} placeholder="Untitled" /><//>
    <div class="two">
      ${maker("video", "model", "Model")}
      <${RatioField} draft=${draft} set=${set} ratios=${row?.ratios.length ? row.ratios : ["16:9"]} complaint=${complaints.aspect_ratio} />
    </div>
    <${Field} label="Consistency context" hint="What must look the same in every scene; sent before each one." complaint=${complaints.consistency_context}>
      <textarea rows="3" ...${input("consistency_context")}></textarea><//>
    <${Field} label="Reference images" complaint=${complaintAt(complaints, "reference_images")}
      hint="Links to pictures of who and what is to be seen, one a line. Without a context of yours, it is read from them.">
      <textarea rows="2" placeholder="https://…" ...${input("reference_images")}></textarea><//>
    <${SceneList} scenes=${draft.scenes} durations=${row?.durations} complaints=${complaints}
      set=${(scenes) => set({ scenes })} />
    ${(wanted("keyframe") || wanted("narration")) && html`<div class="two">
      ${wanted("keyframe") && maker("image", "image_model", "Keyframes made by")}
      ${wanted("narration") && maker("audio", "speech_model", "Narrations spoken by")}</div>`}
    <label class="check"><input type="checkbox" checked=${draft.allow_fallback} onChange=${(e) => set({ allow_fallback: e.target.checked })} />
      <span>Let an equal one elsewhere take over while the provider is down or out of credit</span></label>`;
}

const JsonForm = ({ text, setText }) => html`
  <${Field} label="Storyboard as JSON" complaint=${text.trim() && !parsed(text) ? "This is not JSON yet." : null}>
    <textarea class="code" rows="24" spellcheck="false" value=${text} onInput=${(e) => setText(e.target.value)}></textarea><//>`;

function shownFields(draft) {
  const ofScene = ["description", "duration", "image_url", "keyframe", "narration", "starts_from"];
  const scenes = draft.scenes.flatMap((_, i) => ofScene.map((name) => `scenes.${i}.${name}`));
  const makers = [["keyframe", "image_model"], ["narration", "speech_model"]].filter(([part]) => draft.scenes.some((scene) => scene[part]));
  return ["title", "model", "aspect_ratio", "consistency_context", "reference_images", "scenes", ...scenes, ...makers.map(([, name]) => name)];
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
      <p class="small muted">Nothing is bought before you press this.</p>
      ${warnings.map((warning) => html`<p class="small muted">${warning}</p>`)}
    </aside>`;
}

/** The draft in its two dresses, `{draft, text, json, set, preset, setText, turn, body}`; `preset` is for what nobody chose. */
function useDraft() {
  const [draft, setDraft] = useState(newDraft);
  const [text, setText] = useState("");
  const [json, setJson] = useState(false);
  const body = useMemo(() => (json ? parsed(text) : bodyOf(draft)), [json, text, draft]);
  const turn = (wanted) => {
    if (wanted === json) return;
    if (wanted) setText(JSON.stringify(bodyOf(draft), null, 2));
    else if (body) setDraft(draftOf(body));
    else if (text.trim()) return;
    setJson(wanted);
  };
  const fill = (storyboard) => {
    setDraft(draftOf(storyboard));
    setText(JSON.stringify(storyboard, null, 2));
  };
  const set = (changes) => setDraft((last) => ({ ...last, ...changes }));
  // Effects run late: whoever chose meanwhile has chosen.
  const preset = (name, value) => setDraft((last) => (last[name] ? last : { ...last, [name]: value }));
  return { draft, text, json, body, turn, fill, setText, set, preset };
}

/** `{busy, refused, submit}`: sends the body once, and keeps the refusal until the body changes. */
function useSubmit(body) {
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(null);
  const sent = useRef(null);
  useEffect(() => () => { sent.current = null; }, []); // who left stays away
  const text = JSON.stringify(body);
  const submit = async () => {
    sent.current = text;
    setBusy(true);
    try {
      const { id } = await submitOnce(body);
      if (sent.current) go(jobHref(id));
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
  const others = otherComplaints(problem, form.json ? [] : shownFields(form.draft));
  const tab = (json, name) => html`<button aria-pressed=${form.json === json ? "true" : "false"} onClick=${() => form.turn(json)}>${name}</button>`;
  return html`
    <div class="page-head"><h1>New job</h1>
      <div role="group" class="tabs" aria-label="How to write it">${tab(false, "Form")}${tab(true, "JSON")}</div>
      <button class="quiet" onClick=${() => api.sampleStoryboard().then(form.fill, complain)}>Fill in the sample</button></div>
    <div class="new">
      <div class="new-form">${form.json ? html`<${JsonForm} ...${form} />` : html`<${Form} ...${form} complaints=${complaints} />`}</div>
      <${Price} body=${form.body} cents=${price.cents} warnings=${price.warnings} problem=${problem} busy=${busy} submit=${submit} others=${others} />
    </div>`;
}
