"use strict";

const element = (id) => document.getElementById(id);
const STALE_S = 3;
let shown = "";
let connected = true;

function figuresText(figures) {
  const parts = [];
  if (figures.frames_per_s !== null) parts.push(`${figures.frames_per_s.toFixed(1)} frames/s`);
  if (figures.latency_ms.invoke !== undefined) {
    parts.push(`network ${figures.latency_ms.invoke.toFixed(1)} ms`, `cycle ${figures.latency_ms.cycle.toFixed(1)} ms`);
  }
  parts.push(`${figures.dropped} dropped`, `${figures.captures} captured`);
  if (figures.reopened) parts.push(`camera back ${figures.reopened} times`);
  if (figures.temperature_c !== null) parts.push(`${figures.temperature_c.toFixed(0)} °C`);
  if (figures.throttled !== null) parts.push(figures.throttled.length ? `slowed: ${figures.throttled.join(", ")}` : "full speed");
  return parts.join(" · ");
}

// Captures are named by their time in UTC: 20260504T030201.234Z.
function timeOf(name) {
  return new Date(name.replace(/(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(.*)/, "$1-$2-$3:$4:$5"));
}

function showCaptures(names) {
  if (names.join() === shown) return;
  shown = names.join();
  element("captures").replaceChildren(...names.map((name) => {
    const figure = document.createElement("figure");
    const link = document.createElement("a");
    const image = document.createElement("img");
    const caption = document.createElement("figcaption");
    link.href = image.src = `/captures/${name}`;
    image.alt = `Capture ${name}`;
    caption.textContent = timeOf(name).toLocaleTimeString();
    link.append(image);
    figure.append(link, caption);
    return figure;
  }));
}

function show(now) {
  const stale = now.age_s > STALE_S;
  const trouble = now.trouble || stale;
  document.body.dataset.state = trouble ? "trouble" : now.state;
  element("state").textContent = trouble ? "trouble" : now.state;
  element("sentence").textContent = stale && !now.trouble ? `No picture for ${Math.round(now.age_s)} s.` : now.sentence;
  element("progress").value = now.progress || 0;
  if (now.figures) element("figures").textContent = figuresText(now.figures);
  showCaptures(now.captures);
}

// A stream that broke off is not an error to every browser: its last picture just stays.
function reload() {
  element("live").src = `/live.mjpg?${Date.now()}`;
}

async function poll() {
  try {
    const answer = await fetch("/state.json");
    if (answer.status === 401) throw new Error("unet-capture was started again: open the new address it shows.");
    if (!answer.ok) throw new Error("No connection to unet-capture.");
    show(await answer.json());
    if (!connected) reload();
    connected = true;
  } catch (error) {
    connected = false;
    document.body.dataset.state = "trouble";
    element("state").textContent = "trouble";
    element("sentence").textContent = error instanceof TypeError ? "No connection to unet-capture." : error.message;
  }
  setTimeout(poll, 300);
}

element("trigger").addEventListener("click", () => {
  fetch("/trigger", { method: "POST", headers: { "X-Unet-Capture": "1" } });
});
element("live").addEventListener("error", () => {
  setTimeout(reload, 1000);
});
poll();
