// Any two measured quantities against each other: choose, filter, take the rows along.
(() => {
  const table = document.getElementById("table-measured");
  if (!table) return;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("explorer-data").textContent);
  const [across, up, filter] = [byId("explorer-x"), byId("explorer-y"), byId("explorer-filter")];
  const [plot, note, save] = [byId("explorer-plot"), byId("explorer-note"), byId("explorer-save")];
  const rows = [...table.tBodies[0].rows];
  const glyphs = rows.map((row) => row.querySelector("svg.glyph path"));
  const shown = () => data.methods.map((_, m) => m).filter((m) => !rows[m].hidden);

  const node = (parent, name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };

  // An axis: logarithmic where all values are above 0 and span more than a factor of 5.
  const axis = (spots, from, to) => {
    const values = spots.flat().filter((value) => value !== null);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const log = low > 0 && high > 5 * low;
    const scale = log ? Math.log10 : (value) => value;
    [low, high] = [scale(low), scale(high)];
    const margin = 0.06 * (high - low) || Math.abs(low) * 0.05 || 1;
    [low, high] = [low - margin, high + margin];
    return {
      place: (value) => from + ((scale(value) - low) / (high - low)) * (to - from),
      ticks: log ? decades(low, high) : steps(low, high),
    };
  };
  const steps = (low, high) => {
    const rough = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((s) => s * unit).find((s) => s >= rough);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(k * step);
    return found;
  };
  const decades = (low, high) => {
    const parts = high - low > 2.5 ? [1] : [1, 2, 5];
    const found = [];
    for (let k = Math.floor(low); k <= high; k += 1) {
      found.push(...parts.map((p) => p * 10 ** k).filter((v) => Math.log10(v) >= low && Math.log10(v) <= high));
    }
    return found;
  };
  const short = (value) => {
    const [size, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([s]) => Math.abs(value) >= s) ?? [1, ""];
    return `${Number((value / size).toPrecision(6))}${letter}`.replace("-", "\u2212");
  };

  // Heights in ascending order, moved as little as clusters allow, so that neighbours keep a gap.
  const apart = (heights, gap, top, bottom) => {
    const clusters = [];
    for (const height of heights) {
      clusters.push([height, 1]);
      while (clusters.length > 1) {
        const [[a, m], [b, n]] = clusters.slice(-2);
        if (b - a >= (gap * (m + n)) / 2) break;
        clusters.splice(-2, 2, [(a * m + b * n) / (m + n), m + n]);
      }
    }
    const placed = clusters.flatMap(([c, n]) => [...Array(n).keys()].map((i) => c + gap * (i - (n - 1) / 2)));
    const over = Math.max(0, (placed.at(-1) ?? 0) - bottom);
    const moved = placed.map((height) => height - over);
    const under = Math.max(0, top - (moved[0] ?? top));
    return moved.map((height) => height + under);
  };

  // Better or equal in both, and better in one.
  const beats = (p, q, [x, y]) => {
    const gains = [[p.x, q.x, x.lower], [p.y, q.y, y.lower]].map(([a, b, lower]) => (lower ? b - a : a - b));
    return gains.every((gain) => gain >= 0) && gains.some((gain) => gain > 0);
  };

  const draw = () => {
    const chosen = [across, up].map((select) => data.quantities[Number(select.value)]);
    const [x, y] = chosen;
    const there = shown().filter((m) => x.spots[m] && y.spots[m]);
    const absent = shown().filter((m) => !there.includes(m)).map((m) => data.methods[m].title);
    plot.replaceChildren();
    note.textContent = "";
    if (!there.length) { note.textContent = "No method has both."; return; }
    const positive = there.some((m) => x.spots[m][0] > 0) ? there.filter((m) => x.spots[m][0] > 0) : there;
    const left = there.filter((m) => !positive.includes(m)).map((m) => data.methods[m].title);
    const label = 20 + 6.6 * Math.max(...positive.map((m) => data.methods[m].title.length)); // 12 px letters
    const width = Math.max(240 + label, Math.min(760, byId("explorer").clientWidth - 24));
    const height = Math.max(360, 90 + 16 * positive.length);
    const svg = node(plot, "svg", { viewBox: `0 0 ${width} ${height}`, style: `width:${width}px`, role: "img", "aria-label": `${y.heading} against ${x.heading}` });
    const [top, bottom, begin, end] = [14, height - 48, 58, width - label - 12];
    const xAxis = axis(positive.map((m) => x.spots[m]), begin, end);
    const yAxis = axis(positive.map((m) => y.spots[m]), y.lower ? top : bottom, y.lower ? bottom : top);
    frame(svg, { xAxis, yAxis, top, bottom, begin, end, x, y, height });
    const points = positive.map((m) => ({ m, x: x.spots[m][0], y: y.spots[m][0] }));
    const best = points.filter((p) => !points.some((q) => beats(q, p, chosen))).sort((p, q) => p.x - q.x);
    const at = (p) => `${xAxis.place(p.x).toFixed(1)},${yAxis.place(p.y).toFixed(1)}`;
    node(svg, "polyline", { points: best.map(at).join(" "), class: "frontier" });
    for (const p of points) mark(svg, p, xAxis, yAxis, chosen);
    labels(svg, points, xAxis, yAxis, { end, top, bottom });
    const named = best.map((p) => data.methods[p.m].title).join("; ");
    note.textContent = `By means alone, no method is better in both than ${named}. Bars are intervals of metrics and ranges over seeds of costs.` +
      (left.length ? ` Not drawn, as its value is 0: ${left.join("; ")}.` : "") +
      (absent.length ? ` Not measured: ${absent.join("; ")}.` : "");
  };

  const frame = (svg, { xAxis, yAxis, top, bottom, begin, end, x, y, height }) => {
    let last = -Infinity;
    for (const tick of xAxis.ticks) {
      const place = xAxis.place(tick);
      node(svg, "line", { x1: place, x2: place, y1: top, y2: bottom, class: "grid" });
      if (place - last < 38) continue;
      node(svg, "text", { x: place, y: bottom + 16, "text-anchor": "middle", class: "tick" }, short(tick));
      last = place;
    }
    for (const tick of yAxis.ticks) {
      const place = yAxis.place(tick);
      node(svg, "line", { x1: begin, x2: end, y1: place, y2: place, class: "grid" });
      node(svg, "text", { x: begin - 6, y: place + 4, "text-anchor": "end", class: "tick" }, short(tick));
    }
    const better = (q) => (q.lower ? "less is better" : "more is better");
    node(svg, "text", { x: (begin + end) / 2, y: height - 12, "text-anchor": "middle" }, x.heading);
    node(svg, "text", { x: -(top + bottom) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, y.heading);
    node(svg, "title", {}, `${x.heading}: ${better(x)}. ${y.heading}: ${better(y)}.`);
  };

  const mark = (svg, p, xAxis, yAxis, [x, y]) => {
    const [px, py] = [xAxis.place(p.x), yAxis.place(p.y)];
    const colour = glyphs[p.m].getAttribute("stroke");
    const bar = (ends) => node(svg, "line", { ...ends, style: `stroke:${colour}`, class: "bar" });
    const [xEnds, yEnds] = [x, y].map((q) => q.spots[p.m].slice(1));
    if (!xEnds.includes(null)) bar({ x1: xAxis.place(xEnds[0]), x2: xAxis.place(xEnds[1]), y1: py, y2: py });
    if (!yEnds.includes(null)) bar({ x1: px, x2: px, y1: yAxis.place(yEnds[0]), y2: yAxis.place(yEnds[1]) });
    const group = node(svg, "g", { transform: `translate(${px} ${py}) scale(.55)`, class: "point" });
    group.append(glyphs[p.m].cloneNode());
    node(group, "title", {}, `${data.methods[p.m].title}: ${x.heading} ${p.x}, ${y.heading} ${p.y}`);
  };

  const labels = (svg, points, xAxis, yAxis, { end, top, bottom }) => {
    const sorted = [...points].sort((p, q) => yAxis.place(p.y) - yAxis.place(q.y));
    const heights = apart(sorted.map((p) => yAxis.place(p.y)), 16, top, bottom + 20);
    sorted.forEach((p, i) => {
      node(svg, "line", { x1: xAxis.place(p.x) + 7, y1: yAxis.place(p.y), x2: end + 10, y2: heights[i], class: "leader" });
      node(svg, "text", { x: end + 14, y: heights[i] + 4 }, data.methods[p.m].title);
    });
  };

  const narrow = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, m) => {
      const text = `${data.methods[m].title} ${data.methods[m].family}`.toLowerCase();
      row.hidden = words.length > 0 && !words.some((word) => text.includes(word));
    });
    draw();
  };

  const csv = () => {
    const quote = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    const heads = data.quantities.flatMap((q) => [q.heading, `${q.heading}: low`, `${q.heading}: high`]);
    const inOrder = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => rows.indexOf(row));
    const lines = inOrder.map((m) => [data.methods[m].title, data.methods[m].family, ...data.quantities.flatMap((q) => q.spots[m] ?? ["", "", ""])]);
    return [["Method", "Family", ...heads], ...lines].map((line) => line.map(quote).join(",")).join("\n") + "\n";
  };

  data.quantities.forEach((q, i) => {
    for (const select of [across, up]) {
      const option = document.createElement("option");
      option.value = i;
      option.textContent = q.heading;
      select.append(option);
    }
  });
  up.value = data.quantities.findIndex((q) => q.heading.startsWith("Held-out loss"));
  across.addEventListener("change", draw);
  up.addEventListener("change", draw);
  filter.addEventListener("input", narrow);
  addEventListener("resize", draw);
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "ketune.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  byId("explorer").hidden = false;
  draw();
})();
