// The dashboard's beginning: who is signed in, which page is shown, and the frame around it.
import { AccountsPage } from "./accounts-page.js";
import * as api from "./api.js";
import { Icon } from "./icons.js";
import { JobPage } from "./job-page.js";
import { JobsPage } from "./jobs-page.js";
import { focusSearch, KeySheet, useKeys } from "./keys.js";
import * as live from "./live.js";
import { NewPage } from "./new-page.js";
import { complain, Complaints, Trouble } from "./notices.js";
import { go, useRoute } from "./routes.js";
import { SignIn } from "./sign-in.js";
import { html, render, useEffect, useState } from "./view.js";

const THEMES = { system: "light", light: "dark", dark: "system" };

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
}

function ThemeSwitch() {
  const [theme, choose] = useState(document.documentElement.dataset.theme || "system");
  const next = () => {
    setTheme(THEMES[theme]);
    choose(THEMES[theme]);
  };
  const name = `Colours: ${theme}. Change to ${THEMES[theme]}`;
  return html`<button class="quiet square" title=${name} aria-label=${name} onClick=${next}><${Icon} name=${theme} /></button>`;
}

const OFFLINE = "Live updates are away. The page keeps what it has and catches up by itself.";

function OfflineBar() {
  const status = live.useLiveStatus();
  return html`<div class="offline" role="status">${status === "offline" && html`<p><${Icon} name="you" />${OFFLINE}</p>`}</div>`;
}

function Header({ owner, signOut, showKeys }) {
  return html`
    <header class="bar">
      <a class="brand" href="/" aria-label="Dailies, all jobs">
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true"><rect x="1" y="5" width="30" height="22" rx="5" fill="currentColor" /><path d="M13 11v10l8-5z" fill="var(--paper)" /></svg>
        Dailies</a>
      <nav aria-label="Page">
        <a class="button quiet" href="/accounts" aria-label="Accounts"><${Icon} name="accounts" /><span>Accounts</span></a>
        <a class="button" href="/jobs/new" aria-label="New job"><${Icon} name="plus" /><span>New job</span></a>
        <button class="quiet square wide-only" title="Keyboard" aria-label="Keyboard" onClick=${showKeys}><${Icon} name="keys" /></button>
        <${ThemeSwitch} />
        <button class="quiet square" title=${`Sign out ${owner.name || ""}`} aria-label="Sign out" onClick=${signOut}><${Icon} name="out" /></button>
      </nav>
    </header>`;
}

function Page({ route }) {
  if (route.path === "/") return html`<${JobsPage} />`;
  if (route.path === "/accounts") return html`<${AccountsPage} />`;
  if (route.path === "/jobs/new") return html`<${NewPage} />`;
  const id = decodeURIComponent(route.path.replace(/^\/jobs\//, ""));
  return html`<${JobPage} key=${id} id=${id} tab=${route.tab} />`;
}

function Inside({ owner, signOut }) {
  const route = useRoute();
  const [keys, setKeys] = useState(false);
  useEffect(() => {
    live.open();
    return live.close;
  }, []);
  useKeys({ "?": () => setKeys(true), "/": focusSearch, n: () => go("/jobs/new") });
  return html`
    <a class="skip" href="#main">Skip to the page</a>
    <${Header} owner=${owner} signOut=${signOut} showKeys=${() => setKeys(true)} />
    <main id="main" tabindex="-1"><${Page} route=${route} /></main>
    <${OfflineBar} />
    <${Complaints} />
    ${keys && html`<${KeySheet} close=${() => setKeys(false)} />`}`;
}

/** Who is signed in: `undefined` while nobody knows, `null` for nobody. */
function App() {
  const [owner, setOwner] = useState(undefined);
  const [problem, setProblem] = useState(null);
  const ask = () => {
    setProblem(null);
    api.session.get().then(setOwner, (refusal) => (refusal.status === 401 ? setOwner(null) : setProblem(refusal)));
  };
  const signOut = () => api.session.close().then(() => setOwner(null), complain);
  useEffect(() => {
    ask();
    const out = () => setOwner(null);
    window.addEventListener("signed-out", out);
    return () => window.removeEventListener("signed-out", out);
  }, []);
  if (problem) return html`<main><${Trouble} title="Dailies can't be reached" problem=${problem}><button onClick=${ask}>Try again</button><//></main>`;
  if (owner === undefined) return null;
  return owner ? html`<${Inside} owner=${owner} signOut=${signOut} />` : html`<${SignIn} done=${ask} />`;
}

render(html`<${App} />`, document.getElementById("app"));
