// The door: an API key goes in, a cookie comes back, and the key is kept nowhere.
import * as api from "./api.js";
import { Refusal } from "./notices.js";
import { useTab } from "./tab.js";
import { html, useState } from "./view.js";

export function SignIn({ done }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useTab("Sign in · Dailies");
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await api.session.open(new FormData(event.target).get("api_key").trim());
      done();
    } catch (refusal) {
      setProblem(refusal);
      setBusy(false);
    }
  };
  return html`
    <main class="door">
      <form onSubmit=${submit}>
        <h1>Dailies</h1>
        <p class="muted">A storyboard goes in, clips come out.</p>
        <label>API key
          <input name="api_key" type="password" autocomplete="current-password" required autofocus spellcheck="false"
            aria-invalid=${problem ? "true" : undefined} /></label>
        <${Refusal} problem=${problem} />
        <button class="primary" disabled=${busy}>Sign in</button>
        <p class="small muted"><code>make up</code> prints a key; <code>dailies keys create</code> makes another.</p>
      </form>
    </main>`;
}
