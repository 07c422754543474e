// Says changes of state to screen readers, several at once as one sentence.
const GATHER_MS = 600;

let waiting = [];
let timer = null;

function say() {
  document.getElementById("spoken").textContent = waiting.slice(-6).join(". ");
  waiting = [];
  timer = null;
}

export function speak(sentence) {
  if (!sentence) return;
  waiting.push(sentence);
  timer ??= setTimeout(say, GATHER_MS);
}
