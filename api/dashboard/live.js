// The socket: one for the page, kept open by itself. Whoever watches is subscribed again after every gap.
import { io } from "./vendor/socket.io.js";
import { useEffect, useState } from "./view.js";

const socket = io("/jobs", { transports: ["websocket"], autoConnect: false, reconnectionDelayMax: 5000 });
const watchers = new Set();
const statusListeners = new Set();
let offlineTimer = null;
let status = "connecting";

function setStatus(next) {
  clearTimeout(offlineTimer);
  if (next === status) return;
  status = next;
  statusListeners.forEach((listener) => listener(status));
}

// A blip of a second is nobody's business.
function notLive() {
  clearTimeout(offlineTimer);
  offlineTimer = setTimeout(() => setStatus("offline"), 1500);
}

async function subscribe(watcher) {
  const answer = await socket.timeout(5000).emitWithAck(watcher.call, watcher.ask()).catch(() => null);
  if (watchers.has(watcher)) watcher.subscribed(answer && !answer.error ? answer : null);
}

socket.on("connect", () => {
  setStatus("live");
  watchers.forEach(subscribe);
});
socket.on("disconnect", (reason) => {
  notLive();
  if (reason === "io server disconnect") setTimeout(() => socket.connect(), 500);
});
socket.on("connect_error", () => {
  notLive();
  // The server said no rather than nothing: the client does not try again by itself.
  if (!socket.active) setTimeout(() => socket.connect(), 5000);
});
socket.onAny((name, data) => watchers.forEach((watcher) => watcher.heard(name, data || {})));
window.addEventListener("online", () => socket.connected || socket.connect());

export const open = () => socket.connect();
export const close = () => socket.disconnect();
export const isLive = () => socket.connected;

/**
 * Keep a subscription alive. `watcher` is `{call, ask(), subscribed(ack | null), heard(name, data)}`;
 * gives `{again(), stop()}`.
 */
export function watch(watcher) {
  watchers.add(watcher);
  const again = () => {
    if (socket.connected) subscribe(watcher);
    return socket.connected;
  };
  again();
  return { again, stop: () => watchers.delete(watcher) };
}

/** `connecting`, `live` or `offline`, as a hook. */
export function useLiveStatus() {
  const [now, set] = useState(status);
  useEffect(() => {
    statusListeners.add(set);
    set(status);
    return () => statusListeners.delete(set);
  }, []);
  return now;
}
