// One clip: its picture, and one line that says all.
import { useSeconds, useSeen } from "./clock.js";
import { Icon } from "./icons.js";
import { isMoving, isOver, progressOf } from "./job.js";
import { complain } from "./notices.js";
import { Picture } from "./picture.js";
import { Component, html, useEffect, useState } from "./view.js";
import { clipLine, number, partBriefly, partName, partWords, reason, tone } from "./words.js";

export const promptOf = (clip) => clip.description || clip.prompt || clip.takes?.at(-1)?.prompt || "";

/** Whether the same prompt may simply be tried again; else it has to be edited first. */
export const retryable = (clip) => clip.error?.retryable !== false;

/** What the failed card's first button and the `r` key do. */
export function retryOrEdit(store, clip, edit) {
  if (clip.status !== "failed" && clip.status !== "cancelled") return undefined;
  return retryable(clip) ? store.retry(clip.index).catch(complain) : edit(clip.index);
}

function Failed({ clip, store, open }) {
  const [busy, setBusy] = useState(false);
  const retry = () => {
    setBusy(true);
    store.retry(clip.index).catch(complain).finally(() => setBusy(false));
  };
  const name = `clip ${clip.index + 1}`;
  const again = retryable(clip) && html`<button disabled=${busy} aria-label=${`Retry ${name}`} onClick=${retry}>Retry</button>`;
  return html`
    <div class="failed">
      <p>${reason(clip.error) || "Cancelled before it was made."}</p>
      <p class="actions">${again}<button aria-label=${`Edit and retry ${name}`} onClick=${() => open(clip.index)}>Edit and retry</button></p>
    </div>`;
}

/** The narration, heard at a click. */
export function Voice({ url }) {
  const [audio] = useState(() => new Audio());
  const [on, set] = useState(false);
  useEffect(() => {
    audio.onplay = audio.onpause = () => set(!audio.paused);
    return () => audio.pause();
  }, []);
  const toggle = () => {
    if (!audio.paused) return audio.pause();
    if (audio.src !== url) audio.src = url;
    return audio.play().catch(() => {});
  };
  return html`<button class="chip" aria-pressed=${String(on)} onClick=${toggle}><${Icon} name=${on ? "pause" : "voice"} />Narration</button>`;
}

/** What is made beside the clip and not there yet. */
const Parts = ({ clip }) => clip.parts?.filter((part) => part.status !== "complete").map((part) => html`
  <span key=${part.asset_id} class="chip" title=${partWords(part)}><${Icon} name=${tone(part)} />${partName(part)} · ${partBriefly(part)}</span>`);

function Inside({ clip, store, open }) {
  const name = `clip ${clip.index + 1}`;
  if (clip.status === "complete") {
    return html`<${Picture} url=${clip.url} poster=${clip.thumbnail_url} name=${name} words=${promptOf(clip)}
      refresh=${() => store.renew(clip.index)} />`;
  }
  if (clip.status === "failed" || clip.status === "cancelled") return html`<${Failed} clip=${clip} store=${store} open=${open} />`;
  const still = clip.thumbnail_url || clip.keyframe_url;
  return html`${still && html`<img class="still" src=${still} alt="" />`}<div class=${still ? "prompt on" : "prompt"}>${promptOf(clip)}</div>`;
}

/** The bar: what was reported is solid, what is estimated since is striped. */
function Bar({ clip, progress, name }) {
  const spoken = `${progress.estimated ? "about " : ""}${progress.percent} percent`;
  return html`
    <div class="clip-bar" role="progressbar" aria-label=${name} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${progress.percent} aria-valuetext=${spoken}>
      <span class="estimate" style=${{ transform: `scaleX(${progress.percent / 100})` }}></span>
      <span class="reported" style=${{ transform: `scaleX(${Math.min(clip.glide.reported, progress.percent) / 100})` }}></span>
    </div>`;
}

function Card({ clip, store, open }) {
  const [ref, seen] = useSeen();
  const now = useSeconds(seen && !isOver(clip) && (isMoving(clip) || Boolean(clip.waiting)));
  const progress = progressOf(clip, store.state.usualSeconds, now);
  const state = tone(clip);
  const text = clipLine(clip, progress, (now - clip.waitingSince) / 1000);
  const name = `Clip ${clip.index + 1}`;
  return html`
    <article ref=${ref} class=${`card tone-${state}`} data-clip=${clip.index} tabindex="-1" aria-label=${`${name}: ${promptOf(clip)}`}>
      <div class="picture"><${Inside} clip=${clip} store=${store} open=${open} />
        <p class="chips">${clip.attempts > 1 && html`<button class="chip" aria-label=${`Takes of ${name}`} onClick=${() => open(clip.index)}>${clip.attempts} takes</button>`}
          <${Parts} clip=${clip} />
          ${clip.narration_url && html`<${Voice} url=${clip.narration_url} />`}</p>
        <${Bar} clip=${clip} progress=${progress} name=${`${name} progress`} /></div>
      <div class="line">
        <${Icon} name=${state} /><span class="index">${number(clip.index)}</span>
        <span class="said">${text}</span>
        <button class="quiet square small" title="Details" aria-label=${`Details of clip ${clip.index + 1}`}
          onClick=${() => open(clip.index)}><${Icon} name="more" /></button>
      </div>
    </article>`;
}

/** Drawn again only when its own clip changed, however many others did. */
export class ClipCard extends Component {
  shouldComponentUpdate(next) {
    return next.clip !== this.props.clip || next.hidden !== this.props.hidden;
  }

  render({ clip, store, open, hidden }) {
    return html`<li hidden=${hidden}><${Card} clip=${clip} store=${store} open=${open} /></li>`;
  }
}
