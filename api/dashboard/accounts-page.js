// The providers' accounts: what may be asked of each, who holds it now, what was learned, and what it cost.
import { accounts } from "./api.js";
import { useSeconds } from "./clock.js";
import { Icon } from "./icons.js";
import { Trouble } from "./notices.js";
import { useTab } from "./tab.js";
import { html, useEffect, useState } from "./view.js";
import { about, ago, modelName, money, waitingWords } from "./words.js";

const POLL_MS = 3000;
const MOST_DOTS = 64;

/** `{rows, at, problem}`, asked again every few seconds; what is known stays while nobody answers. */
function useAccounts() {
  const [state, set] = useState({});
  useEffect(() => {
    const load = () => accounts().then((rows) => set({ rows, at: Date.now() }), (problem) => set((old) => (old.rows ? old : { problem })));
    const timer = setInterval(() => document.hidden || load(), POLL_MS);
    load();
    return () => clearInterval(timer);
  }, []);
  return state;
}

/** `[tone, words]`: what holds the account back, if anything does. */
function standing({ name, slots, blocked_seconds, breakers }, since) {
  if (!slots) return ["failed", "the limiter is down; nothing is bought meanwhile"];
  if (blocked_seconds > since) return ["waiting", waitingWords({ reason: "blocked", account: name, about_seconds: blocked_seconds }, since)];
  const [failing] = breakers;
  const again = failing && about(failing.open_seconds - since).replace(/^about/, "in about");
  if (failing) return ["you", `${breakers.map((each) => modelName(each.model)).join(", ")} failing · tried again ${again}`];
  return slots.in_use ? ["moving", "at work"] : ["done", "ready"];
}

function Slots({ slots, most }) {
  const kinds = [...Array(slots.yours).fill("yours"), ...Array(slots.others).fill("others"), ...Array(slots.free).fill("free")];
  const others = slots.others ? ` · ${slots.yours} yours` : "";
  return html`
    <p><b>${slots.in_use} of ${most}</b> slots in use${others}</p>
    <p class="dots" aria-hidden="true">${kinds.slice(0, MOST_DOTS).map((kind) => html`<span class=${`dot ${kind}`}></span>`)}
      ${kinds.length > MOST_DOTS && `+${kinds.length - MOST_DOTS}`}</p>`;
}

/** How the limit was learned, oldest first, as steps; the dashed line is the ceiling. */
function Learned({ limits }) {
  const steps = limits.learned.map((each) => each.slots).reverse();
  const top = Math.max(limits.set.ceiling, ...steps);
  const y = (slots) => (38 - (36 * slots) / top).toFixed(1);
  const width = 100 / steps.length;
  const path = steps.map((slots, i) => `${i ? "V" : "M0 "}${y(slots)}H${((i + 1) * width).toFixed(2)}`).join("");
  return html`<svg class="steps" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=${`The limit so far: ${steps.join(", ")}`}>
    <path class="ceiling" d=${`M0 ${y(limits.set.ceiling)}H100`} /><path d=${path} /></svg>`;
}

const WHY = { accepted: "it took more", refused: "it said: not now" };

function limitWords({ learned: [newest], set }, now) {
  const bounds = set.floor === set.ceiling ? "" : ` · ${set.floor} to ${set.ceiling} allowed`;
  return `${newest ? `learned ${ago(newest.at, now)}, as ${WHY[newest.why] || newest.why}` : "as set"}${bounds}`;
}

const SPANS = { 60: "a minute", 3600: "an hour", 86400: "a day" };
const windowWords = ({ used, requests, seconds }) => `${used ?? "?"} of ${requests} in ${SPANS[seconds] || `${seconds} s`}`;
const KINDS = { create: "Orders", status: "Checks", daily: "Orders today" };

function Account({ account, at, now }) {
  const { limits, slots, line, spend } = account;
  const [tone, said] = standing(account, (now - at) / 1000);
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`
    <li class="account"><div class="account-head"><h2>${account.name}</h2>
        <p class=${`state-line tone-${tone}`}><${Icon} name=${tone} />${said}</p></div>
      ${slots && html`<div><${Slots} slots=${slots} most=${limits.slots} /></div>`}
      <div><p><b>${limits.slots ?? limits.set.slots} at once</b> <span class="muted">${limitWords(limits, now)}</span></p>
        ${limits.learned.length > 1 && html`<${Learned} limits=${limits} />`}</div>
      <dl class="figures">
        ${line && fact("In line", line.yours < line.length ? `${line.length} · ${line.yours} yours` : line.length)}
        ${limits.windows.map((each) => fact(KINDS[each.name] || each.name, windowWords(each)))}
        ${fact("You spent", `${money(spend.today_cents)} today · ${money(spend.total_cents)} in all`)}
      </dl></li>`;
}

export function AccountsPage() {
  const { rows, at, problem } = useAccounts();
  const now = useSeconds(true);
  useTab("Accounts · Dailies");
  if (problem) return html`<${Trouble} title="The accounts can't be shown" problem=${problem} />`;
  return html`
    <a class="back" href="/"><${Icon} name="back" />Jobs</a>
    <div class="page-head"><h1>Accounts</h1></div>
    <ul class="accounts">${rows
      ? rows.map((account) => html`<${Account} key=${account.name} account=${account} at=${at} now=${now} />`)
      : html`<li class="account skeleton" aria-hidden="true"></li>`}</ul>
    ${rows?.length === 0 && html`<p>No provider's key is set on this server, so nothing can be rendered. Set one, such as REPLICATE_API_TOKEN, and start it again.</p>`}`;
}
