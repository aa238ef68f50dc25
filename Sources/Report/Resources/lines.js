// Line and point charts.

/** Curves, points with error bars, and bands. */
function lines(panel, svg, width, limit) {
  const all = panel.series.map(s => ({...s, kept: s.x.map((_, i) => i).filter(i => limit === null || (panel.limitsLevels ? s.level : s.x[i]) <= limit)}));
  const numbers = (keys, more) => all.flatMap(s => keys.flatMap(k => (s[k] ? s.kept.map(i => s[k][i]) : []))).concat(more || []);
  const named = all.filter(s => s.name && !panel.ramp && !s.isSilent);
  const names = panel.y.names && panel.y.names.map(n => shortened(n, width < 500 ? 90 : 190));
  const key = panel.ramp ? 0 : keyHeight(named, width);
  const title = panel.title ? 24 : 0;
  const height = panel.height || Math.min(Math.max(0.72 * width, 250), 420);
  const top = title + key + 8;
  const onY = scale(names ? [-0.5, names.length - 0.5] : numbers(["y", "low", "high"], panel.y.include), top + height, top, panel.y.log);
  if (names) onY.at = v => top + (v + 0.5) / names.length * height;
  const marksY = names ? placeNames(names, 15, onY.at) : ticks(onY, height / 52).map(v => ({at: onY.at(v), text: marked(v)}));
  const left = 28 + Math.max(0, ...marksY.map(m => measure(m.text)));
  const frame = {left, right: width - (panel.ramp ? 88 : 12), top, bottom: top + height};
  const onX = scale(numbers(["x", "xlow", "xhigh"], panel.x.include), frame.left, frame.right, panel.x.log);
  if (panel.title) shape(svg, "text", {class: "title", x: (frame.left + frame.right) / 2, y: 15, "text-anchor": "middle"}, panel.title);
  const marksX = ticks(onX, (frame.right - frame.left) / 52).filter(v => !panel.x.whole || Number.isInteger(v));
  for (const m of marksY) shape(svg, "line", {class: "grid", x1: frame.left, x2: frame.right, y1: m.at, y2: m.at});
  for (const v of marksX) shape(svg, "line", {class: "grid", x1: onX.at(v), x2: onX.at(v), y1: frame.top, y2: frame.bottom});
  shape(svg, "rect", {class: "frame", x: frame.left, y: frame.top, width: frame.right - frame.left, height});
  bottomAxis(svg, frame, marksX.map(v => ({at: onX.at(v), text: marked(v)})), panel.x.label);
  leftAxis(svg, frame, marksY, panel.y.label);
  if (panel.ramp) colourBar(svg, frame, panel.ramp);
  else drawKey(svg, named, frame, title, width);

  const points = [];
  all.forEach((s, number) => {
    const colour = stroke(s, panel.ramp);
    const place = i => ({x: onX.at(s.x[i]), y: onY.at(s.y[i])});
    const there = s.kept.filter(i => typeof s.x[i] === "number" && typeof s.y[i] === "number" && isFinite(place(i).x) && isFinite(place(i).y));
    if (s.isBand) {
      const edge = there.filter(i => typeof s.low[i] === "number");
      const outline = [...edge.map(i => [place(i).x, onY.at(s.high[i])]), ...edge.reverse().map(i => [place(i).x, onY.at(s.low[i])])];
      shape(svg, "polygon", {class: "band", points: outline.map(p => p.join(",")).join(" ")}).style.fill = colour;
    } else {
      for (const i of there) {
        const {x, y} = place(i);
        const ends = s.low ? [x, x, onY.at(s.low[i]), onY.at(s.high[i])] : s.xlow ? [onX.at(s.xlow[i]), onX.at(s.xhigh[i]), y, y] : null;
        if (!ends || !ends.every(isFinite)) continue;
        shape(svg, "line", {class: "error", x1: ends[0], x2: ends[1], y1: ends[2], y2: ends[3]}).style.stroke = colour;
      }
    }
    if (s.isLine) {
      // A missing point interrupts the curve.
      let path = "";
      let last = null;
      for (const i of there) {
        path += `${last === i - 1 && path ? "L" : "M"}${place(i).x.toFixed(1)} ${place(i).y.toFixed(1)}`;
        last = i;
      }
      const line = shape(svg, "path", {class: s.isDashed ? "curve dashed" : "curve", d: path || "M0 0"});
      line.style.stroke = colour;
    }
    if (s.mark) {
      for (const i of there) {
        const {x, y} = place(i);
        const r = s.mark === "small" ? 2 : 3.6;
        if (s.mark === "cross") shape(svg, "path", {class: "curve", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`}).style.stroke = colour;
        else if (s.mark === "square") shape(svg, "rect", {x: x - 4, y: y - 4, width: 8, height: 8}).style.fill = colour;
        else shape(svg, "circle", {cx: x, cy: y, r, class: s.isFaint ? "faint" : ""}).style.fill = colour;
      }
    }
    for (const i of there) points.push({number, i, ...place(i)});
  });
  if (all.some(s => s.end || s.labels)) placeLabels(svg, frame, all, points);

  const nearest = (px, py) => {
    let [best, distance] = [null, 30 ** 2];
    points.forEach((p, n) => {
      const d = (p.x - px) ** 2 + (p.y - py) ** 2;
      if (d < distance) [best, distance] = [n, d];
    });
    return best;
  };
  return {
    height: frame.bottom + 44, width, count: points.length,
    hit: nearest,
    box: n => ({x: points[n].x - 5, y: points[n].y - 5, width: 10, height: 10}),
    tip: n => pointText(panel, all[points[n].number], points[n].i),
    step: (n, pressed) => stepPoints(points, n, pressed),
    rows: () => lineRows(panel, all),
  };
}

function pointText(panel, s, i) {
  const lines = [];
  if (s.tips) lines.push(s.tips[i]);
  else if (s.name) lines.push(s.name);
  const name = panel.y.names && panel.y.names[Math.round(s.y[i])];
  if (name) lines.push(name);
  else if (panel.x.word && !panel.y.names) lines.push(`${panel.x.word} ${written(s.x[i])}`);
  lines.push(panel.y.names ? `${panel.x.label}: ${written(s.x[i])}${error(s.bounds && s.bounds[i])}` : `${panel.y.label}: ${written(s.y[i])}${error(s.bounds && s.bounds[i])}`);
  const [low, high] = s.xlow ? [s.xlow[i], s.xhigh[i]] : s.low ? [s.low[i], s.high[i]] : [null, null];
  if (typeof low === "number" && low !== high) lines.push(`from ${written(low)} to ${written(high)}`);
  return lines;
}

function lineRows(panel, all) {
  const columns = ["low", "high", "xlow", "xhigh", "bounds"].filter(c => all.some(s => s[c]));
  return [
    ["series", panel.x.csv || panel.x.label, panel.y.label, ...columns],
    ...all.flatMap(s => s.kept.map(i => [s.tips ? s.tips[i] : s.name || "", s.x[i], s.y[i], ...columns.map(c => (s[c] ? s[c][i] : null))])),
  ];
}

/** The point that an arrow key moves to: left and right along a series, up and down to the same place of another series. */
function stepPoints(points, n, key) {
  const {number, i} = points[n];
  const own = points.map((p, k) => [p, k]).filter(([p]) => p.number === number);
  const place = own.findIndex(([, k]) => k === n);
  if (key === "ArrowLeft") return own[Math.max(place - 1, 0)][1];
  if (key === "ArrowRight") return own[Math.min(place + 1, own.length - 1)][1];
  if (key === "Home") return own[0][1];
  if (key === "End") return own[own.length - 1][1];
  const direction = {ArrowUp: -1, ArrowDown: 1}[key];
  if (!direction) return null;
  const others = points.map((p, k) => [p, k]).filter(([p]) => (p.number - number) * direction > 0);
  if (!others.length) return n;
  const next = direction > 0 ? Math.min(...others.map(([p]) => p.number)) : Math.max(...others.map(([p]) => p.number));
  return others.filter(([p]) => p.number === next).sort(([a], [b]) => Math.abs(a.i - i) - Math.abs(b.i - i))[0][1];
}

/** The entries of a key, broken into lines if they do not fit beside each other. */
function keyLines(named, width) {
  const lines = [[]];
  let x = 40;
  for (const s of named) {
    const size = 40 + measure(s.name);
    if (x + size > width - 8 && lines[lines.length - 1].length) {
      lines.push([]);
      x = 40;
    }
    lines[lines.length - 1].push({s, x});
    x += size;
  }
  return lines;
}

const keyHeight = (named, width) => (named.length ? 20 * keyLines(named, width).length + 4 : 0);

function drawKey(svg, named, frame, top, width) {
  if (!named.length) return;
  keyLines(named, width).forEach((line, row) => {
    for (const {s, x} of line) {
      const y = top + 12 + 20 * row;
      if (s.isLine || s.isBand) {
        const sample = shape(svg, "line", {class: s.isDashed ? "curve dashed" : "curve", x1: x, x2: x + 22, y1: y - 4, y2: y - 4});
        sample.style.stroke = stroke(s);
      }
      if (s.mark === "cross") shape(svg, "path", {class: "curve", d: `M${x + 7} ${y - 8}l8 8m0 -8l-8 8`}).style.stroke = stroke(s);
      else if (s.mark) shape(svg, "circle", {cx: x + 11, cy: y - 4, r: 3.6}).style.fill = stroke(s);
      shape(svg, "text", {x: x + 28, y}, shortened(s.name, width - x - 34));
    }
  });
}

/** Labels at the ends of curves, or at points. A label that would overlap something in every position is omitted. */
function placeLabels(svg, frame, all, points) {
  const wanted = all.flatMap((s, number) => {
    const own = points.filter(p => p.number === number);
    if (s.labels) return own.map(p => ({p, text: s.labels[p.i]}));
    return s.end && own.length ? [{p: own[own.length - 1], text: s.end}] : [];
  }).filter(w => w.text);
  const taken = wanted.map(({p}) => ({x: p.x - 4, y: p.y - 4, width: 8, height: 8}));
  const meets = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
  // The last token of a prompt matters most, so it is placed first.
  for (const {p, text} of wanted.reverse()) {
    const size = measure(text) + 4;
    const tries = [[7, -8], [-size - 7, -8], [7, -20], [7, 5], [-size - 7, -20], [-size - 7, 5], [-size / 2, -22], [-size / 2, 8]];
    const box = tries.map(([dx, dy]) => ({x: p.x + dx, y: p.y + dy, width: size, height: 15})).find(
      b => b.x > frame.left && b.x + b.width < frame.right && b.y > frame.top && b.y + b.height < frame.bottom && !taken.some(t => meets(b, t)));
    shape(svg, "circle", {class: "end", cx: p.x, cy: p.y, r: 3.6});
    if (!box) continue;
    taken.push(box);
    shape(svg, "text", {class: "name", x: box.x + 2, y: box.y + 12}, text);
  }
}
