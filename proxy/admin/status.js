// Keeps the page live: the server renders it, this asks again and changes what differs.
"use strict";
(() => {
  const POLL_MILLISECONDS = 2000;
  const TIMEOUT_MILLISECONDS = 5000;
  const root = document.documentElement;
  const live = document.getElementById("live");
  let received = performance.now();
  let timer = 0;

  const padded = (number) => String(number).padStart(2, "0");

  // As proxy/admin/html.py writes it.
  function duration(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const days = Math.floor(whole / 86400);
    const hours = Math.floor(whole / 3600) % 24;
    const minutes = Math.floor(whole / 60) % 60;
    if (days) return `${days} d ${padded(hours)} h`;
    if (hours) return `${hours} h ${padded(minutes)} min`;
    if (minutes) return `${minutes} min ${padded(whole % 60)} s`;
    return `${whole} s`;
  }

  function elapsed() {
    return (performance.now() - received) / 1000;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    if (root.classList.contains("lost")) return;
    const since = elapsed();
    for (const element of document.querySelectorAll("[data-left]")) {
      const left = Number(element.dataset.left) - since;
      write(element, left > 0 ? duration(left) : element.dataset.over);
    }
    for (const element of document.querySelectorAll("[data-ago]")) {
      write(element, duration(Number(element.dataset.ago) + since));
    }
  }

  // Only what differs is touched, so that focus, selection and opened parts stay as they are.
  function adapt(old, fresh) {
    if (old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.id === "live" || old.id === "renewed") return;
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const nodes = [...old.childNodes];
    const wanted = [...fresh.childNodes];
    nodes.forEach((node, at) => (at < wanted.length ? adapt(node, wanted[at]) : node.remove()));
    old.append(...wanted.slice(nodes.length));
  }

  function take(page) {
    const content = page.getElementById("content");
    if (content.dataset.build !== document.getElementById("content").dataset.build) {
      location.reload(); // another version of the proxy
      return;
    }
    received = performance.now();
    root.classList.remove("lost");
    document.title = page.title;
    adapt(document.getElementById("content"), content);
    write(live, "Live");
    tick();
  }

  function lose() {
    if (root.classList.contains("lost")) return;
    const last = Number(document.getElementById("content").dataset.wall) * 1000;
    const state = document.getElementById("state");
    root.classList.add("lost");
    document.title = "No response · signicat-proxy";
    state.className = "pill bad";
    write(state, "No response");
    write(live, `No response since ${new Date(last).toISOString().slice(11, 19)} UTC`);
  }

  function ask(method, path, onResponse, onFailure) {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.timeout = TIMEOUT_MILLISECONDS;
    request.onload = () => onResponse(request);
    request.onerror = onFailure;
    request.ontimeout = onFailure;
    return request;
  }

  function again(milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(poll, milliseconds);
  }

  function poll() {
    if (document.hidden) return; // visibilitychange goes on
    const next = () => again(POLL_MILLISECONDS);
    const onResponse = (request) => {
      const page = request.response;
      if (request.status === 200 && page && page.getElementById("content")) take(page);
      else lose();
      next();
    };
    const onFailure = () => {
      lose();
      next();
    };
    const request = ask("GET", location.pathname, onResponse, onFailure);
    request.responseType = "document"; // parsed by the browser; nothing in it runs
    request.send();
  }

  function renew(event) {
    const said = document.getElementById("renewed");
    const onResponse = (request) => {
      write(said, request.status === 202 ? "Renewal has begun" : `Refused (${request.status})`);
      again(500);
    };
    event.preventDefault();
    write(said, "");
    ask("POST", event.target.action, onResponse, () => write(said, "No response")).send();
  }

  document.addEventListener("visibilitychange", () => again(0));
  document.addEventListener("submit", renew);
  write(live, "Live");
  setInterval(tick, 1000);
  again(POLL_MILLISECONDS);
})();
