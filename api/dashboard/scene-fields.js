// The scenes of a new job: written, put in order, added and taken away.
import { Icon } from "./icons.js";
import { durationChoices, newScene } from "./storyboard.js";
import { html, useRef } from "./view.js";
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
    : html`<input type="number" value=${scene.duration} min=${durations?.min ?? 1} max=${durations?.max} step="any" onInput=${set} />`;
  return html`<${Field} label="Seconds" wrong=${wrong}>${control}<//>`;
}

function Scene({ scene, index, count, act, durations, complaints }) {
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
        <${Scene} key=${scene.key} scene=${scene} index=${index} count=${scenes.length} act=${act}
          durations=${durations} complaints=${complaints} />`)}</ol>
      <button type="button" onClick=${add}><${Icon} name="plus" />Add a scene</button>
    </section>`;
}
