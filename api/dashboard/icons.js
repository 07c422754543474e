// Sixteen-pixel icons; a state's shape says what its colour says.
import { html } from "./view.js";

const line = (d, stroke = "currentColor") =>
  html`<path d=${d} fill="none" stroke=${stroke} stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" />`;
const ring = (dashes) => html`<circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" stroke-width="1.75" stroke-dasharray=${dashes} />`;
const disc = html`<circle cx="8" cy="8" r="7.25" fill="currentColor" />`;
const onDisc = (d) => line(d, "var(--paper)");

const SHAPES = {
  waiting: ring("2.4 2.5"),
  moving: html`${ring()}<path d="M8 4.25a3.75 3.75 0 0 1 0 7.5z" fill="currentColor" />`,
  done: html`${disc}${onDisc("M4.9 8.2l2.2 2.2 4.1-4.6")}`,
  you: html`<path d="M8 1.2 15.4 14.4H.6z" fill="currentColor" />${onDisc("M8 6.2v3.4M8 12v.01")}`,
  failed: html`<path d="M5 .9h6l4.1 4.1v6L11 15.1H5L.9 11V5z" fill="currentColor" />${onDisc("M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4")}`,
  off: html`${ring()}${line("M3.8 12.2l8.4-8.4")}`,
  play: html`<path d="M4.5 2.2v11.6L13.6 8z" fill="currentColor" />`,
  pause: line("M5.5 3v10M10.5 3v10"),
  voice: line("M2.5 6.5v3M5.25 4v8M8 2v12M10.75 4.5v7M13.5 6.5v3"),
  back: line("M9.5 3.5 5 8l4.5 4.5"),
  plus: line("M8 3v10M3 8h10"),
  close: line("M4 4l8 8M12 4l-8 8"),
  up: line("M4 9.5 8 5.5l4 4"),
  down: line("M4 6.5l4 4 4-4"),
  more: html`<circle cx="3" cy="8" r="1.4" fill="currentColor" /><circle cx="8" cy="8" r="1.4" fill="currentColor" /><circle cx="13" cy="8" r="1.4" fill="currentColor" />`,
  keys: html`<rect x="1.5" y="4" width="13" height="8.5" rx="1.5" fill="none" stroke="currentColor" stroke-width="1.5" />${line("M4.5 7h.01M8 7h.01M11.5 7h.01M5.5 9.75h5")}`,
  system: html`${ring()}<path d="M8 1.75a6.25 6.25 0 0 1 0 12.5z" fill="currentColor" />`,
  light: html`<circle cx="8" cy="8" r="3" fill="currentColor" />${line("M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1")}`,
  dark: html`<path d="M13.5 9.9A6 6 0 0 1 6.1 2.5a6 6 0 1 0 7.4 7.4z" fill="currentColor" />`,
  accounts: line("M2 12a6.2 6.2 0 1 1 12 0M8 11.5l3-4.5"),
  out: line("M6.5 2.5h-3v11h3M7 8h6.5M11 5.5 13.5 8 11 10.5"),
  save: line("M8 2.5v7M5 7l3 3 3-3M3 13h10"),
};

/** An icon beside words, so it is hidden from screen readers. */
export const Icon = ({ name }) =>
  html`<svg class=${`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">${SHAPES[name]}</svg>`;
