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
  const runs = () => JSON.parse(find("#runs").textContent); // data are read when they are asked for: in a served page they change

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
    let sort = () => {};
    block.addEventListener("changed", () => sort());
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
        sort = () => {
          const order = next ? [...original].sort((a, b) => compared(text(a), text(b), sign)) : original;
          if (order.every((row, place) => row === body.rows[place])) return;
          const focused = document.activeElement;
          body.append(...order);
          if (body.contains(focused)) focused.focus({ preventScroll: true }); // which to be moved has taken away
        };
        sort();
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
  const copying = (words, textOf) => {
    const button = made("button", words, { type: "button" });
    button.addEventListener("click", async () => {
      await copy(textOf(), words);
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
  const seedsOf = (places) => { const known = runs(); return [...new Set(places.map((place) => known[place].seed))].join("; "); };
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
    const links = made("ul"), known = runs();
    for (const place of told.runs) {
      const item = made("li"), link = made("a", known[place].name, { href: `#run-${known[place].name}` });
      link.addEventListener("click", () => dialog.close());
      item.append(link);
      links.append(item);
    }
    const content = [made("p", title), listed(factsOf(told))];
    if (told.runs.length) content.push(made("h3", told.runs.length > 1 ? "Its runs" : "Its run"), links);
    find("#cell-content").replaceChildren(...content);
    dialog.showModal();
  };
  const tabulate = (block) => {
    sortable(block);
    const tools = find(".tools", block);
    tools.append(...Object.keys(dataOf(block).formats).map((name) => copying(`Copy ${name}`, () => dataOf(block).formats[name])));
    tools.hidden = false;
    for (const cell of all("button.cell", block)) {
      const here = () => dataOf(block).told[Number(cell.dataset.told)];
      cell.addEventListener("pointerenter", () => show(cell, here()));
      cell.addEventListener("pointerleave", () => hide(cell));
      cell.addEventListener("focus", () => show(cell, here()));
      cell.addEventListener("blur", () => hide(cell));
      cell.addEventListener("click", () => { hide(cell); opened(cell.textContent, here()); });
    }
  };
  all(".table").forEach(tabulate);
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
  const changed = (spec, { log, low, high }) => { // the same on other axes
    const copied = structuredClone(spec);
    each(copied, (part) => {
      const { x, y } = part.encoding || {};
      if (y && y.type === "quantitative" && log !== null) {
        y.scale = { ...y.scale, type: log ? "log" : "linear" };
        if (log) {
          delete y.scale.domain;
          delete y.scale.zero; // which Vega-Lite would drop, with a warning
          part.transform = [...(part.transform || []), { filter: { field: y.field, gt: 0 } }];
        }
      }
      if (x && x.type === "quantitative" && (low !== null || high !== null)) {
        x.scale = { ...x.scale, nice: false, ...(low === null ? {} : { domainMin: low }), ...(high === null ? {} : { domainMax: high }) };
        part.mark = { ...(typeof part.mark === "string" ? { type: part.mark } : part.mark), clip: true };
      }
    });
    return copied;
  };
  const isLog = (spec) => { let found = false; each(spec, (part) => { found ||= part.encoding?.y?.scale?.type === "log"; }); return found; };
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
  const escaped = (value) => { const said = String(value ?? ""); const text = /^'*[=+\-@\t\r]/.test(said) && typeof value === "string" && !Number.isFinite(Number(said)) ? `'${said}` : said; return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  const csv = (rows) => { const names = Object.keys(rows[0] || {}); return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(escaped).join(",")).join("\n") + "\n"; };
  const tablesOf = (spec) => { // every data set of a declaration, as rows
    const found = [];
    found.push(...Object.values(spec.datasets || {}));
    each(spec, (part) => { if (part.data && part.data.values) found.push(part.data.values); });
    return found.filter((rows, place) => rows.length && found.findIndex((other) => JSON.stringify(other) === JSON.stringify(rows)) === place);
  };
  const MOST_ROWS = 500;
  const offerData = (block) => {
    const details = find("details.data", block);
    details.hidden = false;
    const fill = () => {
      if (!details.open || details.children.length > 1) return;
      for (const [place, rows] of tablesOf(dataOf(block)).entries()) {
        const names = Object.keys(rows[0]), table = made("table"), head = made("tr"), body = made("tbody");
        const title = `${find("h3", block).textContent}, data ${place + 1}`;
        names.forEach((name) => head.append(made("th", name, { scope: "col" })));
        rows.slice(0, MOST_ROWS).forEach((row) => { const line = made("tr"); names.forEach((name) => line.append(made("td", String(row[name] ?? "")))); body.append(line); });
        const top = made("thead");
        top.append(head);
        table.append(made("caption", rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${rows.length} rows` : `${rows.length} rows`), top, body);
        const frame = made("div", "", { class: "scroll", tabindex: "0", role: "group", "aria-label": title });
        frame.append(table);
        const save = made("button", "Save as CSV", { type: "button" });
        save.addEventListener("click", () => {
          const link = made("a", "", { href: URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), download: `${block.id.replace("chart-", "")}-${place + 1}.csv` });
          link.click();
          setTimeout(() => URL.revokeObjectURL(link.href), 1000);
        });
        details.append(save, frame);
      }
    };
    details.addEventListener("toggle", fill);
    block.addEventListener("changed", () => { details.replaceChildren(find("summary", details)); fill(); });
  };
  const bound = (spec) => { const names = []; each(spec, (part) => (part.params || []).forEach((param) => { if (param.bind && typeof param.bind === "object" && !param.select) names.push(param.name); })); return names; };
  const draw = async (block) => {
    const drawn = find(".drawn", block), controls = find(".controls", block);
    let spec = dataOf(block), legend = clicked(spec);
    const options = {
      mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, config: CONFIG,
      tooltip: { disableDefaultStyle: true, theme: "page" },
    };
    let view = null, names = [], store = null, axes = { log: null, low: null, high: null }, turn = Promise.resolve();
    const embed = () => { turn = turn.then(redraw, redraw); return turn; }; // one after the other
    const redraw = async () => { // what was chosen stays chosen
      const chosen = view && { signals: names.map((name) => [name, view.signal(name)]), store: store && view.data(store) };
      if (view) view.finalize();
      drawn.style.minHeight = `${drawn.offsetHeight}px`; // nothing below it moves meanwhile
      drawn.replaceChildren();
      view = (await vegaEmbed(drawn, changed(spec, axes), options)).view;
      const before = store;
      [names, store] = [bound(spec), legend && `${legend.name}_store`];
      if (chosen) { // as far as there is the same to choose
        chosen.signals.forEach(([name, value]) => { if (names.includes(name)) view.signal(name, value); });
        if (store && store === before) view.data(store, chosen.store);
        await view.runAsync();
      }
      find("fieldset.shown", controls)?.remove();
      if (legend) { const group = boxes(legend, view); group.classList.add("shown"); controls.prepend(group); }
      drawn.style.minHeight = "";
    };
    await embed();
    block.addEventListener("changed", () => { spec = dataOf(block); legend = clicked(spec); embed(); });
    const { range, log } = spec.usermeta || {};
    if (log) {
      const box = made("input", "", { type: "checkbox", class: "log" });
      box.checked = isLog(spec);
      box.addEventListener("change", () => { axes = { ...axes, log: box.checked }; embed(); });
      controls.append(labelled("logarithmic axis", box));
    }
    if (range) {
      const group = made("fieldset", "", { class: "range" }), reset = made("button", "All", { type: "button" });
      const inputs = ["from", "to"].map((words) => {
        const input = made("input", "", { type: "number", step: "1", class: words }), label = made("label");
        label.append(made("span", words), input);
        group.append(label);
        return input;
      });
      const zoom = () => {
        const [low, high] = inputs.map((input) => (input.value === "" ? null : input.valueAsNumber));
        if (low !== null && high !== null && low >= high) { say("The range is empty: from must be below to."); return; }
        axes = { ...axes, low, high };
        embed();
      };
      inputs.forEach((input) => input.addEventListener("change", zoom));
      reset.addEventListener("click", () => { inputs.forEach((input) => { input.value = ""; }); zoom(); });
      group.prepend(made("legend", "Zoom: epochs"));
      group.append(reset);
      controls.append(group);
    }
    controls.hidden = !controls.children.length;
    offerData(block);
  };

  // Galleries: samples with what every run predicts of them

  const PAGE = 12, SVG = "http://www.w3.org/2000/svg";
  const strip = (answers, words) => {
    const picture = document.createElementNS(SVG, "svg"), count = answers.length;
    for (const [name, value] of Object.entries({ class: "strip", viewBox: `0 0 ${count} 10`, preserveAspectRatio: "none", role: "img", "aria-label": words })) picture.setAttribute(name, value);
    answers.forEach((answer, place) => {
      if (!answer) return;
      const bar = document.createElementNS(SVG, "rect"), height = { given: 10, true: 6, other: 2 }[answer];
      for (const [name, value] of Object.entries({ class: answer, x: place + 0.06, y: 10 - height, width: 0.88, height })) bar.setAttribute(name, value);
      picture.append(bar);
    });
    return picture;
  };
  const exhibit = (block) => {
    let data = dataOf(block);
    const image = new Image();
    const [order, given, truth, index] = ["select.order", "select.given", "select.true", "input.index"].map((name) => find(name, block));
    const controls = all(".controls", block), samples = find(".samples", block), place = find(".place", block);
    const [before, next] = [find(".before", block), find(".next", block)];
    let start = 0;
    const predicted = (run, epoch, sample) => {
      const text = data.predicted[run][epoch].slice(data.digits * sample, data.digits * (sample + 1));
      return text.startsWith("-") ? null : parseInt(text, 36);
    };
    const canvas = (sample) => {
      const { width, height } = data.sprite, element = made("canvas", "", { width, height, role: "img", "aria-label": `image of sample ${data.index[sample]}` });
      const [column, row] = [sample % data.columns, Math.floor(sample / data.columns)];
      element.getContext("2d").drawImage(image, column * width, row * height, width, height, 0, 0, width, height);
      return element;
    };
    const card = (sample) => {
      const { classes } = data;
      const element = made("article", "", { class: "sample" }), words = made("div"), table = made("table");
      words.append(made("h4", `Sample ${data.index[sample]}`), made("p", `given: ${classes[data.given[sample]]}`), made("p", `truly: ${classes[data.true[sample]]}`), made("p", `memorized: ${Math.round(100 * data.memorized[sample])} %`));
      const head = made("tr"), top = made("thead"), body = made("tbody");
      head.append(...["method", "seed", `epochs ${data.epochs[0]} to ${data.epochs.at(-1)}`, "at last"].map((text) => made("th", text, { scope: "col" })));
      top.append(head);
      data.runs.forEach(({ method, seed }, run) => {
        const said = data.epochs.map((_, epoch) => predicted(run, epoch, sample));
        const answers = said.map((one) => (one === null ? "" : one === data.given[sample] ? "given" : one === data.true[sample] ? "true" : "other"));
        const row = made("tr"), cell = made("td"), last = said.filter((one) => one !== null).at(-1);
        const count = (answer) => answers.filter((one) => one === answer).length;
        cell.append(strip(answers, `given label in ${count("given")}, true class in ${count("true")} of ${answers.filter(Boolean).length} epochs`));
        row.append(made("th", method, { scope: "row", class: "word" }), made("td", seed), cell, made("td", classes[last]));
        body.append(row);
      });
      table.append(made("caption", `Predictions of sample ${data.index[sample]}`, { class: "unseen" }), top, body);
      if (data.sprite) element.append(canvas(sample));
      element.append(words, table);
      return element;
    };
    const chosen = () => {
      const every = data.index.map((_, sample) => sample);
      const sign = { most: -1, least: 1, index: 0 }[order.value];
      return every
        .filter((sample) => (given.value === "" || data.given[sample] === Number(given.value)) && (truth.value === "" || data.true[sample] === Number(truth.value)) && (index.value.trim() === "" || String(data.index[sample]) === index.value.trim()))
        .sort((a, b) => sign * (data.memorized[a] - data.memorized[b]) || data.index[a] - data.index[b]);
    };
    const update = () => {
      const found = chosen();
      start = Math.max(0, Math.min(start, PAGE * (Math.ceil(found.length / PAGE) - 1)));
      samples.replaceChildren(...found.slice(start, start + PAGE).map(card));
      place.textContent = found.length ? `${start + 1} to ${Math.min(start + PAGE, found.length)} of ${found.length}` : "no such sample here";
      before.disabled = start === 0;
      next.disabled = start + PAGE >= found.length;
    };
    const turn = (by) => { start += by; update(); say(`Samples ${place.textContent}`); };
    before.addEventListener("click", () => turn(-PAGE));
    next.addEventListener("click", () => turn(PAGE));
    [order, given, truth, index].forEach((control) => control.addEventListener("input", () => { start = 0; turn(0); }));
    controls.forEach((group) => { group.hidden = false; });
    const hang = () => {
      if (!data.sprite) { update(); return Promise.resolve(); }
      return new Promise((done) => { image.onload = () => { update(); done(); }; image.src = data.sprite.address; });
    };
    block.addEventListener("changed", () => { data = dataOf(block); hang(); });
    return hang();
  };
  const drawOrSay = async (block) => {
    try {
      await draw(block);
    } catch (error) {
      find(".drawn", block).append(made("p", `This chart could not be drawn: ${error.message}`));
      console.error(error);
    }
  };
  document.addEventListener("added", ({ target }) => { // to a served page
    const setUp = { table: tabulate, chart: drawOrSay, gallery: exhibit }[target.className];
    if (setUp) setUp(target);
  });
  const drawAll = async () => {
    for (const block of all(".chart")) {
      await drawOrSay(block);
      await new Promise((done) => setTimeout(done));
    }
    for (const block of all(".gallery")) await exhibit(block);
    root.dataset.ready = "true";
  };
  drawAll();
})();
