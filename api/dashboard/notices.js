// What went wrong, what to do, and the request id to name when asking for help.
import { Icon } from "./icons.js";
import { html, useEffect, useState } from "./view.js";

let show = () => {};

/** Tell of a refused or failed action, wherever on the page it was. */
export const complain = (problem) => show(problem);

const RequestId = ({ problem }) =>
  problem.requestId ? html`<p class="small muted">Request <code>${problem.requestId}</code></p>` : null;

/** A page that can't be shown. */
export const Trouble = ({ title, problem, children }) => html`
  <section class="trouble" role="alert">
    <h1>${title}</h1>
    <p>${problem.message}</p>
    <p class="actions">${children}</p>
    <${RequestId} problem=${problem} />
  </section>`;

/** A refusal beside the form or button that caused it. */
export const Refusal = ({ problem }) => problem && html`
  <div class="refusal" role="alert"><${Icon} name="failed" /><div>${problem.message}<${RequestId} problem=${problem} /></div></div>`;

/** The corner where complaints come up; they stay until they are read. */
export function Complaints() {
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    show = setProblem;
  }, []);
  return problem && html`
    <div class="complaint">
      <${Refusal} problem=${problem} />
      <button class="quiet square" aria-label="Dismiss" onClick=${() => setProblem(null)}><${Icon} name="close" /></button>
    </div>`;
}
