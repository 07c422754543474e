// A picture that plays where it stands: its poster until it is asked to, then the clip itself.
import { Icon } from "./icons.js";
import { html, useEffect, useRef, useState } from "./view.js";

/** Only one clip plays at a time, but for takes, which are looked at side by side. */
function stopOthers(video) {
  const beside = video.closest(".takes");
  for (const other of document.querySelectorAll("video")) if (other !== video && !beside?.contains(other)) other.pause();
}

export function togglePlay(within) {
  const video = within?.querySelector("video");
  if (!video) within?.querySelector(".play")?.click();
  else if (video.paused) video.play();
  else video.pause();
}

/** `refresh` is called when the file's link has run out; a new `url` then plays on. */
export function Picture({ url, poster, name, words, refresh }) {
  const [playing, setPlaying] = useState(false);
  const video = useRef(null);
  const asked = useRef(false);
  useEffect(() => {
    if (playing) video.current?.play().catch(() => {});
  }, [playing, url]);
  const broken = () => {
    if (!asked.current) refresh?.();
    asked.current = true;
  };
  if (playing) {
    return html`<video ref=${video} src=${url} poster=${poster || undefined} controls playsinline aria-label=${name}
      onPlay=${(e) => stopOthers(e.target)} onError=${broken}></video>`;
  }
  return html`
    <button class="play" aria-label=${`Play ${name}`} onClick=${() => setPlaying(true)}>
      ${poster ? html`<img src=${poster} alt="" loading="lazy" decoding="async" />` : null}
      <span class=${poster ? "prompt over" : "prompt"}>${words}</span>
      <span class="play-mark"><${Icon} name="play" /></span>
    </button>`;
}
