"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text; // never innerHTML: answers are hostile text
    return element;
  };

  // Theme: the system's, until the reader chooses.
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const toggle = byId("theme");
  const name = () => { toggle.textContent = dark() ? "Light" : "Dark"; };
  toggle.hidden = false;
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();

  // Tables: a button in each heading sorts; absent values stay last.
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
  };
  const sort = (table, column, ascending) => {
    const rows = [...table.tBodies[0].rows];
    rows.sort((p, q) => {
      const [a, b] = [value(p, column), value(q, column)];
      if (a === "\u2013" || b === "\u2013") return (a === "\u2013") - (b === "\u2013");
      return ascending ? compare(a, b) : compare(b, a);
    });
    table.tBodies[0].append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, i) => {
      if (i === column) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      if (!cell.textContent.trim()) return;
      const button = make("button", "sort", cell.textContent.trim());
      button.type = "button";
      button.addEventListener("click", () => sort(table, column, cell.getAttribute("aria-sort") !== "ascending"));
      cell.replaceChildren(button);
    });
  }

  // Samples: one prompt, all methods side by side.
  if (!byId("samples-data")) return;
  const data = JSON.parse(byId("samples-data").textContent);
  const [search, seed, order] = [byId("sample-search"), byId("sample-seed"), byId("sample-order")];
  const [back, next, place, view] = [byId("sample-back"), byId("sample-next"), byId("sample-place"), byId("sample-view")];
  const glyphs = [...document.querySelectorAll("#sample-glyphs svg")];
  data.seeds.forEach((s, i) => { const option = make("option", "", String(s)); option.value = i; seed.append(option); });
  const byDisagreement = [...data.prompts.keys()].sort((a, b) => data.prompts[b].disagreement - data.prompts[a].disagreement);
  let found = [];
  let at = 0;
  const matches = (prompt, words, s) => {
    const answers = prompt.answers.map((seeds) => data.texts[seeds[s][0]]);
    const text = [prompt.instruction, prompt.input, prompt.reference, ...answers].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const block = (title, text) => [make("div", "muted", title), make("div", "text", text)];
  const show = () => {
    view.replaceChildren();
    back.disabled = at <= 0;
    next.disabled = at >= found.length - 1;
    place.textContent = found.length ? `${at + 1} of ${found.length}` : "nothing found";
    if (!found.length) return;
    const prompt = data.prompts[found[at]];
    const head = make("div", "prompt");
    head.append(...block("Instruction", prompt.instruction));
    if (prompt.input) head.append(...block("Input", prompt.input));
    head.append(...block("Reference", prompt.reference));
    const answers = make("div", "answers");
    data.methods.forEach((method, m) => {
      const [text, rouge, finished] = prompt.answers[m][Number(seed.value)];
      const card = make("div", "card");
      const title = make("h3", "", method.title);
      if (glyphs[m]) title.prepend(glyphs[m].cloneNode(true));
      card.append(title, make("div", "text", data.texts[text] || "(empty)"));
      card.append(make("div", "muted note", `ROUGE-L ${rouge.toFixed(1)}${finished ? "" : ", cut at the token limit"}`));
      answers.append(card);
    });
    view.append(head, answers);
  };
  const refresh = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = order.value === "disagreement" ? byDisagreement : [...data.prompts.keys()];
    found = all.filter((i) => matches(data.prompts[i], words, Number(seed.value)));
    at = 0;
    show();
  };
  search.addEventListener("input", refresh);
  order.addEventListener("change", refresh);
  seed.addEventListener("change", () => {
    const current = found[at];
    refresh();
    at = Math.max(0, found.indexOf(current));
    show();
  });
  back.addEventListener("click", () => { at -= 1; show(); });
  next.addEventListener("click", () => { at += 1; show(); });
  byId("samples").addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft" && !back.disabled) back.click();
    if (event.key === "ArrowRight" && !next.disabled) next.click();
  });
  refresh();
})();
