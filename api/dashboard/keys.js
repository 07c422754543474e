// The keyboard: one table of what a page answers to, and the sheet that lists it.
import { Sheet } from "./sheet.js";
import { html, useEffect } from "./view.js";

const LIST = [
  ["/", "Search"],
  ["j  k", "Next and previous clip or job"],
  ["Space", "Play or pause the clip"],
  ["Enter", "Details of the clip, or open the job"],
  ["r", "Retry the failed clip"],
  ["n", "New job"],
  ["Esc", "Close what is open"],
  ["?", "This list"],
];

const types = (element) => /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable;
const presses = (element) => /^(BUTTON|A|VIDEO|SUMMARY)$/.test(element.tagName);

/** `keys` is `{key: action(event)}`; nothing fires while somebody types or a sheet is open. */
export function useKeys(keys) {
  useEffect(() => {
    const pressed = (event) => {
      const action = keys[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      if (types(event.target) || document.querySelector("dialog[open]")) return;
      // A focused button or link has its own meaning for these two.
      if ((event.key === " " || event.key === "Enter") && presses(event.target)) return;
      event.preventDefault();
      action(event);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}

/** Move the focus to the next (`step` 1) or previous (-1) of the page's items. */
export function moveFocus(selector, step) {
  const items = [...document.querySelectorAll(selector)];
  if (!items.length) return;
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + step, 0), items.length - 1);
  items[next].focus({ preventScroll: true });
  items[next].scrollIntoView({ block: "nearest" });
}

export const focusSearch = () => document.querySelector("input[type=search]")?.focus();

/** The page's search; Escape gives the keys back to the page. */
export const Search = ({ what, value, seek }) => html`
  <input type="search" placeholder="Search" aria-label=${`Search ${what}`} value=${value}
    onInput=${(event) => seek(event.target.value)} onKeyDown=${(event) => event.key === "Escape" && event.target.blur()} />`;

export const KeySheet = ({ close }) => html`
  <${Sheet} title="Keyboard" close=${close}>
    <dl class="keys">
      ${LIST.map(([key, does]) => html`<div><dt>${key.split("  ").map((k) => html`<kbd>${k}</kbd>`)}</dt><dd>${does}</dd></div>`)}
    </dl>
  <//>`;
