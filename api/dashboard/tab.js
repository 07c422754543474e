// A tab in the background tells the story: its title counts, its icon carries the state.
import { useEffect } from "./view.js";

const ICONS = new Set(["moving", "done", "you", "failed"]);

export function useTab(title, tone = null) {
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    const icon = document.querySelector("link[rel=icon]");
    icon.href = ICONS.has(tone) ? `/dashboard/icons/${tone}.svg` : "/dashboard/icons/dailies.svg";
  }, [tone]);
}
