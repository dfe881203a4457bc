"use strict";
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const made = (tag, text = "", attributes = {}) => {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const dataOf = (element) => JSON.parse(find('script[type="application/json"]', element).textContent);
  const say = (text) => { find("#status").textContent = text; };
  const runs = JSON.parse(find("#runs").textContent);

  // Theme: the system's, until the button is used

  const root = document.documentElement, theme = find("#theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();

  // Tables: sorted by a heading's button, copied in three formats, and each number leads to its runs

  const number = (text) => {
    const found = /^[+\u2212-]?[\d,]*\.?\d+(e[+-]?\d+)?/.exec(text.trim());
    return found ? Number(found[0].replaceAll(",", "").replace("\u2212", "-")) : null;
  };
  const compared = (a, b, sign) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null || y !== null) return x !== null ? -1 : 1; // what is missing comes last
    return sign * a.localeCompare(b, "en", { numeric: true });
  };
  const sortable = (block) => {
    const body = find("tbody", block), original = [...body.rows];
    all("button.sort", block).forEach((button, column) => {
      button.disabled = false;
      const heading = button.parentElement;
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort");
        const next = { null: "ascending", ascending: "descending", descending: null }[before];
        all("th[aria-sort]", block).forEach((other) => other.removeAttribute("aria-sort"));
        if (next) heading.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        const text = (row) => row.cells[column].textContent;
        const order = next ? [...original].sort((a, b) => compared(text(a), text(b), sign)) : original;
        body.append(...order);
        say(next ? `Sorted by ${button.getAttribute("aria-label") || button.textContent}, ${next}.` : "In the table's own order.");
      });
    });
  };
  const copy = async (text, words) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = made("textarea", text, { readonly: "", class: "unseen" });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    say(`${words} copied.`);
  };
  const copying = (words, text) => {
    const button = made("button", words, { type: "button" });
    button.addEventListener("click", async () => {
      await copy(text, words);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 1200);
    });
    return button;
  };
  const listed = (facts) => {
    const list = made("dl");
    for (const [term, text] of facts) list.append(made("dt", term), made("dd", text));
    return list;
  };
  const seedsOf = (places) => [...new Set(places.map((place) => runs[place].seed))].join("; ");
  const factsOf = (told) => told.runs.length ? [...told.facts, ["seeds", seedsOf(told.runs)], ["runs", String(told.runs.length)]] : told.facts;
  const tip = find("#told"), dialog = find("#cell");
  const show = (cell, told) => {
    tip.replaceChildren(listed(factsOf(told)));
    tip.hidden = false;
    const place = cell.getBoundingClientRect(), size = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(place.left, innerWidth - size.width - 8))}px`;
    tip.style.top = `${place.bottom + size.height + 8 < innerHeight ? place.bottom + 4 : Math.max(4, place.top - size.height - 4)}px`;
    cell.setAttribute("aria-describedby", "told");
  };
  const hide = (cell) => { tip.hidden = true; cell.removeAttribute("aria-describedby"); };
  const opened = (title, told) => {
    const links = made("ul");
    for (const place of told.runs) {
      const item = made("li"), link = made("a", runs[place].name, { href: `#run-${runs[place].name}` });
      link.addEventListener("click", () => dialog.close());
      item.append(link);
      links.append(item);
    }
    const content = [made("p", title), listed(factsOf(told))];
    if (told.runs.length) content.push(made("h3", told.runs.length > 1 ? "Its runs" : "Its run"), links);
    find("#cell-content").replaceChildren(...content);
    dialog.showModal();
  };
  for (const block of all(".table")) {
    const { told, formats } = dataOf(block);
    sortable(block);
    const tools = find(".tools", block);
    tools.append(...Object.entries(formats).map(([name, text]) => copying(`Copy ${name}`, text)));
    tools.hidden = false;
    for (const cell of all("button.cell", block)) {
      const here = told[Number(cell.dataset.told)];
      cell.addEventListener("pointerenter", () => show(cell, here));
      cell.addEventListener("pointerleave", () => hide(cell));
      cell.addEventListener("focus", () => show(cell, here));
      cell.addEventListener("blur", () => hide(cell));
      cell.addEventListener("click", () => { hide(cell); opened(cell.textContent, here); });
    }
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // Runs: whoever is sent to one finds it open

  const openRun = () => {
    const run = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (run instanceof HTMLDetailsElement) { run.open = true; run.scrollIntoView(); find("summary", run).focus(); }
  };
  addEventListener("hashchange", openRun);
  openRun();

  // Charts

  const CONFIG = {
    background: null, font: "system-ui, sans-serif", view: { stroke: null },
    axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8 },
    legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    header: { labelFontSize: 12, titleFontSize: 12 }, title: { fontSize: 13, fontWeight: 600 },
  };
  const each = (spec, visit) => {
    if (Array.isArray(spec)) spec.forEach((part) => each(part, visit));
    else if (spec && typeof spec === "object") { visit(spec); Object.entries(spec).forEach(([key, part]) => { if (key !== "datasets" && key !== "values") each(part, visit); }); }
  };
  const withLog = (spec) => {
    const copied = structuredClone(spec);
    each(copied, (part) => {
      if (part.encoding && part.encoding.y && part.encoding.y.type === "quantitative") {
        part.encoding.y.scale = { ...part.encoding.y.scale, type: "log", zero: false };
        delete part.encoding.y.scale.domain;
      }
    });
    return copied;
  };
  const labelled = (words, input) => {
    const label = made("label");
    label.append(input, made("span", words));
    return label;
  };
  const clicked = (spec) => { // the selection that clicks in the legend make: its name, field, labels and colors
    let found = null;
    each(spec, (part) => (part.params || []).forEach((param) => {
      if (param.bind === "legend" && param.select.fields) found = { name: param.name, field: param.select.fields[0] };
    }));
    if (!found) return null;
    each(spec, (part) => {
      const color = part.encoding && part.encoding.color;
      if (color && color.field === found.field && color.scale && color.scale.domain) Object.assign(found, { labels: color.scale.domain, colors: color.scale.range });
    });
    return found.labels && found.labels.length > 1 ? found : null;
  };
  const boxes = (legend, view) => { // the same choice by keyboard
    const store = `${legend.name}_store`, group = made("fieldset");
    group.append(made("legend", `Shown ${legend.field}s`));
    const inputs = legend.labels.map((label, place) => {
      const input = made("input", "", { type: "checkbox" });
      const box = labelled(label, input), swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("class", "swatch");
      swatch.setAttribute("aria-hidden", "true");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of Object.entries({ width: "100%", height: "100%", fill: (legend.colors || [])[place] || "currentColor" })) line.setAttribute(name, value);
      swatch.append(line);
      box.insertBefore(swatch, input.nextSibling);
      group.append(box);
      return input;
    });
    const read = (tuples) => {
      const chosen = new Set(tuples.map((tuple) => tuple.values[0]));
      inputs.forEach((input, place) => { input.checked = !chosen.size || chosen.has(legend.labels[place]); });
    };
    read(view.data(store));
    view.addDataListener(store, (_, tuples) => read(tuples));
    group.addEventListener("change", () => {
      const chosen = legend.labels.filter((_, place) => inputs[place].checked);
      const fields = [{ type: "E", field: legend.field }];
      view.data(store, chosen.length === legend.labels.length ? [] : chosen.map((label) => ({ unit: "", fields, values: [label] }))).runAsync();
    });
    return group;
  };
  const escaped = (value) => { const text = String(value ?? ""); return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  const csv = (rows) => { const names = Object.keys(rows[0] || {}); return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(escaped).join(",")).join("\n") + "\n"; };
  const tablesOf = (spec) => { // every data set of a declaration, as rows
    const found = [];
    const add = (values, format) => found.push(typeof values === "string" ? vega.read(values, { type: "csv", parse: "auto", ...format }) : values);
    Object.values(spec.datasets || {}).forEach((values) => add(values));
    each(spec, (part) => { if (part.data && part.data.values) add(part.data.values, part.data.format); });
    return found.filter((rows, place) => rows.length && found.findIndex((other) => JSON.stringify(other) === JSON.stringify(rows)) === place);
  };
  const MOST_ROWS = 500;
  const offerData = (block, spec) => {
    const details = find("details.data", block);
    details.hidden = false;
    details.addEventListener("toggle", () => {
      if (!details.open || details.children.length > 1) return;
      for (const [place, rows] of tablesOf(spec).entries()) {
        const names = Object.keys(rows[0]), table = made("table"), head = made("tr"), body = made("tbody");
        const title = `${find("h3", block).textContent}, data ${place + 1}`;
        names.forEach((name) => head.append(made("th", name, { scope: "col" })));
        rows.slice(0, MOST_ROWS).forEach((row) => { const line = made("tr"); names.forEach((name) => line.append(made("td", String(row[name] ?? "")))); body.append(line); });
        const top = made("thead");
        top.append(head);
        table.append(made("caption", rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${rows.length} rows` : `${rows.length} rows`), top, body);
        const frame = made("div", "", { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
        frame.append(table);
        const save = made("button", "Save as CSV", { type: "button" });
        save.addEventListener("click", () => {
          const link = made("a", "", { href: URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), download: `${block.id.replace("chart-", "")}-${place + 1}.csv` });
          link.click();
          setTimeout(() => URL.revokeObjectURL(link.href), 1000);
        });
        details.append(save, frame);
      }
    });
  };
  const draw = async (block) => {
    const spec = dataOf(block), drawn = find(".drawn", block), controls = find(".controls", block), legend = clicked(spec);
    const options = {
      mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, config: CONFIG,
      tooltip: { disableDefaultStyle: true, theme: "page" },
    };
    let view = null;
    const embed = async (declared) => {
      const embedded = await vegaEmbed(drawn, declared, options);
      view = embedded.view;
      all("fieldset.shown", controls).forEach((group) => group.remove());
      if (legend) { const group = boxes(legend, view); group.classList.add("shown"); controls.prepend(group); }
    };
    await embed(spec);
    if (spec.usermeta && spec.usermeta.log) {
      const log = made("input", "", { type: "checkbox", class: "log" });
      log.addEventListener("change", () => embed(log.checked ? withLog(spec) : spec));
      controls.append(labelled("logarithmic axis", log));
    }
    if (JSON.stringify(spec).includes('"bind":"scales"')) {
      const reset = made("button", "Reset zoom", { type: "button" });
      reset.addEventListener("click", () => embed(find("input.log", controls)?.checked ? withLog(spec) : spec));
      controls.append(reset);
    }
    controls.hidden = !controls.children.length;
    offerData(block, spec);
  };
  const drawAll = async () => {
    for (const block of all(".chart")) {
      try {
        await draw(block);
      } catch (error) {
        find(".drawn", block).append(made("p", `This chart could not be drawn: ${error.message}`));
        console.error(error);
      }
      await new Promise((done) => setTimeout(done));
    }
    root.dataset.ready = "true";
  };
  drawAll();
})();
