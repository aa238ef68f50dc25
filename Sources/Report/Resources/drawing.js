// Scales, axes and colours that all charts use.

const SVG = "http://www.w3.org/2000/svg";
const VIRIDIS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map(
  hex => [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16)));

/** Appends an HTML element, or an element of the namespace `space`. Text is only set as text, never as markup. */
function add(parent, name, attributes = {}, text = null, space = null) {
  const node = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== null) node.textContent = text;
  return parent.appendChild(node);
}

const shape = (parent, name, attributes, text = null) => add(parent, name, attributes, text, SVG);

/** The colour at a position of the palette, from 0 to 1, as red, green and blue. */
function shade(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[i].map((from, c) => Math.round(from + (VIRIDIS[i + 1][c] - from) * (place - i)));
}

const css = rgb => `rgb(${rgb.join(" ")})`;

/** A line's colour: a categorical colour, or its position on the palette, without the ends that would be invisible on the background. */
function stroke(series, ramp) {
  if (!ramp) return `var(--series-${series.colour % 7})`;
  const share = ramp.high > ramp.low ? (series.level - ramp.low) / (ramp.high - ramp.low) : 0.4;
  return `light-dark(${css(shade(0.94 * share))}, ${css(shade(0.22 + 0.78 * share))})`;
}

const minus = text => text.replace(/-/g, "−");

/** A number to about five significant digits. */
function written(x) {
  if (x === null || x === undefined || !isFinite(x)) return "–";
  const size = Math.abs(x);
  return minus(size === 0 || (size >= 1e-3 && size < 1e6) ? String(+x.toPrecision(5)) : x.toExponential(3));
}

const error = bound => (typeof bound === "number" ? ` ± ${minus(bound.toExponential(1))}` : "");

/** The label of a tick: short, with a power of ten if necessary. */
function marked(x) {
  const size = Math.abs(x);
  return minus(size === 0 || (size >= 1e-3 && size < 1e5) ? String(+x.toPrecision(4)) : x.toExponential(0));
}

const ruler = document.createElement("canvas").getContext("2d");

/** The width of a text on a chart, in pixels. */
function measure(text, size = 12) {
  ruler.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** A text that is no wider than the given number of pixels, cut at its end. */
function fitted(text, width, size = 12) {
  if (measure(text, size) <= width) return text;
  const letters = [...text];
  while (letters.length && measure(letters.join("") + "…", size) > width) letters.pop();
  return letters.length ? letters.join("") + "…" : "";
}

/** The same, but cut in the middle, since similar names often differ at their ends. */
function shortened(text, width, size = 12) {
  if (measure(text, size) <= width) return text;
  const [head, tail] = [[...text], []];
  while (tail.length < head.length) tail.unshift(head.pop());
  while (tail.length && measure(head.join("") + "…" + tail.join(""), size) > width) {
    if (head.length >= tail.length) head.pop(); else tail.shift();
  }
  return tail.length ? head.join("") + "…" + tail.join("") : "";
}

/** A scale that contains the given numbers, from pixel `from` to pixel `to`. */
function scale(values, from, to, isLog = false) {
  const known = values.filter(v => typeof v === "number" && isFinite(v) && (!isLog || v > 0));
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (!known.length) [low, high] = isLog ? [0.1, 10] : [0, 1];
  if (isLog) {
    const room = Math.max((high / low) ** 0.06, 1.1);
    [low, high] = [low / room, high * room];
  } else {
    const room = high > low ? 0.05 * (high - low) : Math.max(0.1 * Math.abs(high), 1e-6);
    [low, high] = [low - room, high + room];
  }
  const [a, b] = isLog ? [Math.log(low), Math.log(high)] : [low, high];
  return {at: v => from + ((isLog ? Math.log(v) : v) - a) / (b - a) * (to - from), low, high, isLog};
}

/** Round numbers within a scale, about `count` of them. */
function ticks(axis, count) {
  const {low, high} = axis;
  if (axis.isLog && high / low > 8) {
    const marks = [];
    const factors = Math.log10(high / low) > 3 ? [1] : [1, 2, 5];
    const step = Math.max(1, Math.ceil(Math.log10(high / low) / count));
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
      for (const f of factors) if (e % step === 0 && f * 10 ** e >= low && f * 10 ** e <= high) marks.push(f * 10 ** e);
    }
    return marks;
  }
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough) || 10 * power;
  const marks = [];
  for (let i = Math.ceil(low / step); i * step <= high && marks.length < 50; i++) marks.push(i * step);
  return marks;
}

/** Ticks below a plot, with `label` in the middle. */
function bottomAxis(svg, frame, marks, label) {
  for (const {at, text} of marks) {
    shape(svg, "line", {class: "tick", x1: at, x2: at, y1: frame.bottom, y2: frame.bottom + 4});
    shape(svg, "text", {x: at, y: frame.bottom + 17, "text-anchor": "middle"}, text);
  }
  shape(svg, "text", {class: "label", x: (frame.left + frame.right) / 2, y: frame.bottom + 36, "text-anchor": "middle"}, label);
}

/** Ticks left of a plot, with `label` along the axis. */
function leftAxis(svg, frame, marks, label) {
  for (const {at, text} of marks) {
    shape(svg, "line", {class: "tick", x1: frame.left - 4, x2: frame.left, y1: at, y2: at});
    shape(svg, "text", {x: frame.left - 7, y: at + 4, "text-anchor": "end"}, text);
  }
  const middle = (frame.top + frame.bottom) / 2;
  shape(svg, "text", {class: "label", x: 0, y: 0, transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle"}, label);
}

/** Labels at equal distances along an axis: as many as fit at `room` pixels each. */
function placeNames(names, room, at) {
  const pitch = Math.abs(at(1) - at(0));
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(s => s * pitch >= room) || names.length;
  // Of consecutive integers, the round ones are labelled.
  const first = Number(names[0]);
  const shift = step > 1 && Number(names[names.length - 1]) === first + names.length - 1 ? (step - first % step) % step : 0;
  return names.flatMap((text, i) => ((i - shift) % step === 0 && i >= shift ? [{at: at(i), text}] : []));
}

/** The colour bar right of a plot, with its numbers. */
function colourBar(svg, frame, colour) {
  const x = frame.right + 14;
  const size = frame.bottom - frame.top;
  for (let i = 0; i < 40; i++) {
    const bar = shape(svg, "rect", {x, y: frame.bottom - (i + 1) * size / 40, width: 10, height: size / 40 + 0.5});
    bar.style.fill = css(shade((i + 0.5) / 40));
  }
  const axis = {low: colour.low, high: colour.high, isLog: false};
  for (const mark of ticks(axis, Math.max(2, Math.min(6, size / 40)))) {
    const y = frame.bottom - (mark - colour.low) / (colour.high - colour.low) * size;
    shape(svg, "text", {x: x + 14, y: y + 4}, marked(mark));
  }
  if (measure(colour.label) > size) return;
  shape(svg, "text", {
    class: "label", x: 0, y: 0, "text-anchor": "middle",
    transform: `translate(${x + 66} ${(frame.top + frame.bottom) / 2}) rotate(-90)`,
  }, colour.label);
}
