"use strict";
(() => { // in the served page alone, before any other script: what changes is shown without a reload
  const EVERY = 2000, ROOTS = ["h1", "header .lead", "nav", "main", "#runs"], BLOCKS = ".table, .chart, .gallery";
  const FOCUSED = "a, button, input, select, summary, [tabindex]";
  const all = (selector, root) => [...root.querySelectorAll(selector)];

  // What the server said last, kept as it was said, and for each of its nodes the one that shows it: scripts may have
  // moved that one, or added to it

  const here = new WeakMap();
  const pair = (said, shown) => {
    here.set(said, shown);
    said.childNodes.forEach((child, place) => pair(child, shown.childNodes[place]));
  };
  const copied = (node) => {
    const said = document.importNode(node, true);
    pair(said, said.cloneNode(true));
    return said;
  };
  const last = new Map(ROOTS.map((root) => {
    const shown = document.querySelector(root), said = shown.cloneNode(true);
    pair(said, shown);
    return [root, said];
  }));

  // Differences between what was said and what is said now are made in both; functions return what is said now

  let changed = new Set(), added = [];
  const key = (node) => node.id || node.nodeName;
  const isBlock = (node) => node.nodeType === Node.ELEMENT_NODE && node.matches(BLOCKS);
  const alike = (old, now) => {
    const [before, after] = [[...old.childNodes], [...now.childNodes]];
    return before.length === after.length && before.every((child, place) => key(child) === key(after[place]) && alike(child, after[place]));
  };
  const patch = (old, now) => {
    if (old.isEqualNode(now)) return old;
    const shown = here.get(old);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.data = shown.data = now.data;
      const block = shown.parentElement.closest(BLOCKS);
      if (block) changed.add(block);
      return old;
    }
    if (isBlock(old) && !alike(old, now)) return replaced(old, now);
    for (const { name } of [...old.attributes, ...now.attributes]) {
      const value = now.getAttribute(name);
      if (value === old.getAttribute(name)) continue;
      for (const node of [old, shown]) if (value === null) node.removeAttribute(name); else node.setAttribute(name, value);
    }
    children(old, now);
    return old;
  };
  const children = (old, now) => {
    const before = [...old.childNodes], after = [...now.childNodes];
    if (before.length === after.length && before.every((child, place) => key(child) === key(after[place]))) {
      old.replaceChildren(...before.map((child, place) => patch(child, after[place]))); // shown ones stay as they are sorted
      return;
    }
    const left = new Map(), shown = here.get(old);
    for (const child of before) left.set(key(child), [...(left.get(key(child)) || []), child]);
    const next = after.map((child) => {
      const same = left.get(key(child))?.shift();
      if (same) return patch(same, child);
      const said = copied(child);
      added.push(here.get(said));
      return said;
    });
    for (const child of [...left.values()].flat()) here.get(child).remove();
    old.replaceChildren(...next);
    let place = shown.firstChild;
    for (const child of next.map((said) => here.get(said))) { // none is moved that need not be: it would lose the focus
      if (child === place) place = place.nextSibling;
      else shown.insertBefore(child, place);
    }
  };

  // A table or chart of another shape is made anew, and what was chosen there is chosen again

  const replaced = (old, now) => {
    const said = copied(now), before = here.get(old), after = here.get(said), sorted = before.querySelector("th[aria-sort]");
    const states = all(".scroll", before).map((frame) => frame.scrollLeft), open = all("details", before).map((one) => one.open);
    const focus = all(FOCUSED, before).indexOf(document.activeElement);
    before.replaceWith(after);
    after.dispatchEvent(new Event("added", { bubbles: true }));
    if (sorted) {
      const button = all("button.sort", after).find((one) => one.textContent === sorted.textContent);
      button?.click();
      if (sorted.getAttribute("aria-sort") === "descending") button?.click();
    }
    all(".scroll", after).forEach((frame, place) => { frame.scrollLeft = states[place] || 0; });
    all("details", after).forEach((one, place) => { one.open = Boolean(open[place]); });
    if (focus >= 0) all(FOCUSED, after)[focus]?.focus({ preventScroll: true });
    return said;
  };

  // What is at the top of the window stays there

  const steady = (change) => {
    const root = document.documentElement, top = (node) => node.getBoundingClientRect().top;
    const anchor = scrollY > 0 && all("main p, main h2, main h3, main tr, main figure", document).find((node) => top(node) >= 0 && node.offsetParent);
    const before = anchor && top(anchor);
    root.style.overflowAnchor = "none";
    change();
    if (anchor && anchor.isConnected) scrollBy({ top: top(anchor) - before, behavior: "instant" });
    requestAnimationFrame(() => { root.style.overflowAnchor = ""; });
  };
  const show = (text) => {
    const now = new DOMParser().parseFromString(text, "text/html");
    steady(() => {
      [changed, added] = [new Set(), []];
      for (const [root, said] of last) last.set(root, patch(said, now.querySelector(root)));
      for (const block of changed) block.dispatchEvent(new Event("changed"));
      for (const node of added) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        for (const block of isBlock(node) ? [node] : all(BLOCKS, node)) block.dispatchEvent(new Event("added", { bubbles: true }));
      }
    });
    document.title = now.title;
  };

  // Every two seconds, as long as the page is seen

  const status = document.createElement("p");
  status.id = "live";
  document.querySelector("header .lead").after(status);
  let version = "";
  const look = async () => {
    try {
      const state = await (await fetch("state")).json();
      if (state.version !== version) {
        const answer = await fetch("content");
        show(await answer.text());
        version = answer.headers.get("ETag");
      }
      status.textContent = state.status;
    } catch (error) {
      status.textContent = "The command that serves this page does not answer; what is shown here stays.";
      if (!(error instanceof TypeError)) console.error(error); // else it is a request without an answer
    }
  };
  const again = async () => {
    if (!document.hidden && document.documentElement.dataset.ready) await look(); // once all is drawn
    setTimeout(again, EVERY);
  };
  again();
})();
