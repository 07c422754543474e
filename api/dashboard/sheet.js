// What opens over the page: a dialog with a title, a way out, and the browser's own keeping of the focus.
import { Icon } from "./icons.js";
import { html, useEffect, useRef } from "./view.js";

export function Sheet({ title, close, side, wide, children }) {
  const ref = useRef(null);
  const leave = () => ref.current.close();
  useEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    // Closed rather than only taken away, so that the browser gives the focus back.
    return () => dialog.close();
  }, []);
  const outside = (event) => event.target === ref.current && leave();
  return html`
    <dialog ref=${ref} class=${`sheet${side ? " side" : ""}${wide ? " wide" : ""}`} aria-label=${title} onClose=${close} onClick=${outside}>
      <div class="sheet-body">
        <header><h2>${title}</h2>
          <button class="quiet square" aria-label="Close" onClick=${leave}><${Icon} name="close" /></button></header>
        ${children}
      </div>
    </dialog>`;
}

/** Asks once, in words that name what is lost. */
export const Confirm = ({ title, children, yes, no, act, close }) => html`
  <${Sheet} title=${title} close=${close}>
    <p>${children}</p>
    <p class="actions">
      <button class="danger" onClick=${() => { close(); act(); }}>${yes}</button>
      <button autofocus onClick=${close}>${no}</button>
    </p>
  <//>`;
