// Where the page is: `/`, `/accounts`, `/jobs/new`, `/jobs/<id>` and, on a job, `#timeline`.
import { useEffect, useState } from "./view.js";

const here = () => ({ path: location.pathname, tab: location.hash.slice(1) });
const moved = () => window.dispatchEvent(new Event("moved"));

export const jobHref = (id) => `/jobs/${encodeURIComponent(id)}`;

export function go(href) {
  history.pushState(null, "", href);
  window.scrollTo(0, 0);
  moved();
}

/** A click on a plain link inside the dashboard stays in the page. */
function followInside(event) {
  const link = event.target.closest?.("a[href^='/']");
  const changed = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0;
  if (!link || changed || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  if (!/^\/(jobs\/|accounts$|$)/.test(link.getAttribute("href"))) return;
  event.preventDefault();
  go(link.getAttribute("href"));
}

export function useRoute() {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const update = () => setRoute(here());
    const events = ["popstate", "hashchange", "moved"];
    events.forEach((name) => window.addEventListener(name, update));
    document.addEventListener("click", followInside);
    return () => {
      events.forEach((name) => window.removeEventListener(name, update));
      document.removeEventListener("click", followInside);
    };
  }, []);
  return route;
}
