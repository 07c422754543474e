// One second hand for the whole page; only what moves and is seen listens to it.
import { useEffect, useReducer, useRef, useState } from "./view.js";

const listeners = new Set();
let timer = null;

function tick() {
  for (const listener of [...listeners]) listener();
}

function listen(listener) {
  listeners.add(listener);
  timer ??= setInterval(tick, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    clearInterval(timer);
    timer = null;
  };
}

/** Draw the component again each second while `active`; gives the time in milliseconds. */
export function useSeconds(active) {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => (active ? listen(() => again()) : undefined), [active]);
  return Date.now();
}

const seenBy = new WeakMap();
const watcher = new IntersectionObserver(
  (entries) => entries.forEach((entry) => seenBy.get(entry.target)?.(entry.isIntersecting)),
  { rootMargin: "200px" },
);

/** `[ref, seen]`: whether the element is in the window, or nearly. */
export function useSeen() {
  const ref = useRef(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = ref.current;
    seenBy.set(element, setSeen);
    watcher.observe(element);
    return () => watcher.unobserve(element);
  }, []);
  return [ref, seen];
}
