// The models that can be chosen, fetched once, in the few words that the page needs of them.
import { models } from "./api.js";
import { DEFAULT_USUAL_SECONDS } from "./glide.js";
import { useEffect, useState } from "./view.js";

let asked = null;
let known = [];

function choice(row) {
  const words = row.by_mode?.text;
  return {
    name: row.model,
    label: row.title,
    provider: row.provider,
    kind: row.kind,
    fromWords: Boolean(row.kind === "video" ? words?.orderable : words),
    ratios: words?.aspect_ratios || [],
    durations: words?.durations || null,
    usualSeconds: row.usual_seconds,
  };
}

/** Read the catalogue, at most once while that succeeds. */
export function load() {
  asked ??= models().then((rows) => (known = rows.map(choice)));
  asked.catch(() => (asked = null));
  return asked;
}

/** How long the model usually takes for a clip. */
export const usualSeconds = (model) =>
  known.find((row) => row.name === model)?.usualSeconds ?? DEFAULT_USUAL_SECONDS;

/** The models of a kind that work from words alone; empty until they are there. */
export function useCatalogue(kind = "video") {
  const [rows, setRows] = useState(known);
  useEffect(() => {
    let shown = true;
    const ask = () => shown && load().then(setRows, () => setTimeout(ask, 5000));
    ask();
    return () => (shown = false);
  }, []);
  return rows.filter((row) => row.fromWords && row.kind === kind);
}
