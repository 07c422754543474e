// Keeps one job's page true: HTTP for the first picture, the socket for what follows, HTTP again when it is away.
import * as api from "./api.js";
import * as model from "./job.js";
import * as live from "./live.js";
import { useEffect, useReducer, useState } from "./view.js";

const POLL_MS = 5000;
const GATHER_MS = 300; // news of several clips come together; one look serves them
const MANY = 6; // from here on the whole document is cheaper than its clips

class JobStore {
  constructor(id, usualSeconds) {
    this.id = id;
    this.state = model.unknown(usualSeconds);
    this.problem = null;
    this.stale = new Set();
    this.listeners = new Set();
  }

  open() {
    this.subscription = live.watch({
      call: "subscribe",
      ask: () => ({ job_id: this.id, after: this.state.seq }),
      subscribed: (ack) => ((this.joined = !!ack) ? this.snapshot(ack.snapshot, ack.seq) : this.load()),
      heard: (name, event) => this.heard(name, event),
    });
    this.poller = setInterval(() => (this.joined && live.isLive()) || this.catchUp(), POLL_MS);
    return this.load();
  }

  close() {
    this.subscription.stop();
    clearInterval(this.poller);
    clearTimeout(this.gathering);
  }

  async load() {
    try {
      await this.take(api.jobs.get(this.id));
    } catch (problem) {
      if (!this.state.job || problem.code !== api.UNREACHABLE) this.problem = problem;
      this.changed();
    }
  }

  /** Use the answer's document, unless news overtook it on its way. */
  async take(request) {
    const { seq } = this.state;
    const document = await request;
    if (seq === this.state.seq && document?.video_clips) this.snapshot(document, null);
    else await this.catchUp();
  }

  async catchUp() {
    if (!this.subscription.again()) await this.load();
  }

  snapshot(document, seq) {
    if (!document) return;
    this.problem = null;
    this.set(model.withSnapshot(this.state, document, seq, Date.now()));
  }

  heard(name, event) {
    if (event.job_id !== this.id || !this.state.job) return;
    const order = model.order(this.state, event);
    if (order === "old") return;
    if (order === "gap" || model.isNewRound(this.state, name)) {
      this.catchUp();
      return;
    }
    if (model.wantsDocument(this.state, name, event)) this.refresh(event.index);
    this.set(model.withEvent(this.state, name, event, Date.now()));
    if (name === "job_complete") this.load();
  }

  /** Read the clip's own document soon. */
  refresh(index) {
    this.stale.add(index);
    this.gathering ??= setTimeout(() => this.gather(), GATHER_MS);
  }

  async gather() {
    const indexes = [...this.stale];
    this.stale.clear();
    this.gathering = null;
    if (indexes.length > MANY) await this.catchUp();
    else await Promise.all(indexes.map((index) => this.loadClip(index)));
  }

  async loadClip(index) {
    const before = this.state.clips[index];
    const clip = await api.jobs.clip(this.id, index).catch(() => null);
    if (!clip) return;
    // Something happened while the document travelled: it may be older than what is shown.
    if (this.state.clips[index] !== before) this.refresh(index);
    else this.set(model.withClip(this.state, clip, Date.now()));
  }

  /** New links for a clip, or for the film, whose old ones have run out. */
  renew(index) {
    this.set(model.withoutLinks(this.state, index));
    return index === undefined ? this.load() : this.loadClip(index);
  }

  // Each answer is the document after the change; each throws a Problem.
  retry = (index, changes = {}) => this.take(api.jobs.retry(this.id, index, changes));
  choose = (index, attempt) => this.take(api.jobs.choose(this.id, index, attempt));
  cancel = () => this.take(api.jobs.cancel(this.id));
  retryStale = () => this.take(api.jobs.retryStale(this.id));
  resume = () => this.take(api.jobs.resume(this.id));

  set(state) {
    this.state = state;
    this.changed();
  }

  // Many events in one frame are one drawing. A hidden tab has no frames, but its title still tells the story.
  changed() {
    this.drawing ??= setTimeout(() => {
      this.drawing = null;
      this.listeners.forEach((listener) => listener());
    }, 16);
  }
}

/** The store of a job, open while the component lives. */
export function useJob(id, usualSeconds) {
  const [store] = useState(() => new JobStore(id, usualSeconds));
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    const listener = () => again();
    store.listeners.add(listener);
    store.open();
    return () => {
      store.listeners.delete(listener);
      store.close();
    };
  }, []);
  return store;
}
