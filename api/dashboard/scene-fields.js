// The scenes of a new job: written, put in order, added and taken away.
import { Icon } from "./icons.js";
import { complaintAt, durationChoices, newScene } from "./storyboard.js";
import { html, useRef, useState } from "./view.js";
import { number } from "./words.js";

/** A labelled control with what is wrong with it right below. */
export const Field = ({ label, hint, complaint, wrong = Boolean(complaint), children }) => html`
  <div class=${wrong ? "field wrong" : "field"}>
    <label><span>${label}</span>${hint && html`<span class="small muted">${hint}</span>`}${children}</label>
    ${complaint && html`<p class="complaint-line" role="alert">${complaint}</p>`}</div>`;

function Duration({ scene, change, durations, wrong }) {
  const choices = durationChoices(durations);
  const set = (event) => change({ duration: Number(event.target.value) });
  const control = choices
    ? html`<select value=${scene.duration} onChange=${set}>
        ${choices.map((seconds) => html`<option value=${seconds} selected=${seconds === scene.duration}>${seconds} s</option>`)}</select>`
    : html`<input type="number" defaultValue=${scene.duration} min=${durations?.min ?? 1} max=${durations?.max} step="any" onInput=${set} />`;
  return html`<${Field} label="Seconds" wrong=${wrong}>${control}<//>`;
}

/** What a scene may have beside its words, each closed away until it is wanted. */
const MORE = [
  ["image_url", "Starts from a picture", "https://…"],
  ["keyframe", "Starts from a keyframe", "What is on the picture that is made first"],
  ["narration", "Narration", "What is said with it"],
];

function More({ scene, index, scenes, change, complaints }) {
  const about = (name) => complaintAt(complaints, `scenes.${index}.${name}`);
  const set = (name) => (e) => change({ [name]: e.target.value });
  const used = [...MORE.map(([name]) => name), "starts_from"].some((name) => scene[name] || about(name));
  const [open, keep] = useState(used);
  if (used && !open) keep(true); // and open it stays when its last field is emptied
  const earlier = scenes.slice(0, index);
  const goOn = (e) => change({ starts_from: e.target.value ? { ...scene.starts_from, scene: earlier[e.target.value].key } : null });
  return html`
    <details class="more" open=${open}><summary>Picture, keyframe, narration</summary>
      ${MORE.map(([name, label, placeholder]) => html`<${Field} label=${label} complaint=${about(name)}>
        <textarea rows="1" placeholder=${placeholder} value=${scene[name] || ""} onInput=${set(name)}></textarea><//>`)}
      ${index > 0 && html`<${Field} label="Goes on from" complaint=${about("starts_from")}>
        <select onChange=${goOn}><option value="">No other scene</option>
          ${earlier.map(({ key }, i) => html`<option value=${i} selected=${key === scene.starts_from?.scene}>The last picture of scene ${i + 1}</option>`)}</select><//>`}
    </details>`;
}

function Scene({ scene, scenes, index, act, durations, complaints }) {
  const count = scenes.length;
  const name = `scene ${index + 1}`;
  const tooLong = complaints[`scenes.${index}.duration`];
  const step = (icon, label, off, does) => html`
    <button type="button" class="quiet square" title=${label} aria-label=${label} disabled=${off} onClick=${does}><${Icon} name=${icon} /></button>`;
  return html`
    <li class="scene">
      <span class="scene-number" aria-hidden="true">${number(index)}</span>
      <${Field} label=${`Scene ${index + 1}`} complaint=${complaints[`scenes.${index}.description`]}>
        <textarea rows="3" value=${scene.description} placeholder="What the camera sees"
          onInput=${(e) => act.change(index, { description: e.target.value })}></textarea><//>
      <${Duration} scene=${scene} durations=${durations} change=${(changes) => act.change(index, changes)} wrong=${Boolean(tooLong)} />
      <span class="scene-steps">
        ${step("up", `Move ${name} up`, index === 0, () => act.move(index, -1))}
        ${step("down", `Move ${name} down`, index === count - 1, () => act.move(index, 1))}
        ${step("close", `Remove ${name}`, count === 1, () => act.remove(index))}</span>
      ${tooLong && html`<p class="complaint-line" role="alert">${tooLong}</p>`}
      <${More} scene=${scene} index=${index} scenes=${scenes} change=${(changes) => act.change(index, changes)} complaints=${complaints} />
    </li>`;
}

function actions(scenes, set) {
  const without = (index) => scenes.filter((_, i) => i !== index);
  return {
    change: (index, changes) => set(scenes.map((scene, i) => (i === index ? { ...scene, ...changes } : scene))),
    remove: (index) => set(without(index)),
    move: (index, step) => set(without(index).toSpliced(index + step, 0, scenes[index])),
    add: () => set([...scenes, { ...newScene(), duration: scenes.at(-1)?.duration ?? 5 }]),
  };
}

export function SceneList({ scenes, set, durations, complaints }) {
  const act = actions(scenes, set);
  const list = useRef(null);
  const add = () => {
    act.add();
    requestAnimationFrame(() => list.current.querySelector("li:last-child textarea").focus());
  };
  return html`
    <section aria-label="Scenes">
      <h2>Scenes</h2>
      ${complaints.scenes && html`<p class="complaint-line" role="alert">${complaints.scenes}</p>`}
      <ol class="scenes" ref=${list}>${scenes.map((scene, index) => html`
        <${Scene} key=${scene.key} scene=${scene} index=${index} scenes=${scenes} act=${act}
          durations=${durations} complaints=${complaints} />`)}</ol>
      <button type="button" onClick=${add}><${Icon} name="plus" />Add a scene</button>
    </section>`;
}
