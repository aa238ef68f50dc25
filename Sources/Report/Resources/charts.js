// The kinds of chart. Each draws a panel and returns its height and the methods that find, locate and describe entries:
// {height, hit(x, y), box(i), tip(i), step(i, key), rows()}.

/** The position of a value on the panel's colour scale, from 0 to 1. */
const share = (panel, value) => (value - panel.colour.low) / (panel.colour.high - panel.colour.low);

/** The value of an entry, which is stored as an integer number of units of its last digit; null if it is missing. */
const entry = (panel, i) => (panel.values[i] === null ? null : panel.values[i] / 10 ** panel.digits);

const entryText = (panel, i) =>
  panel.values[i] === null ? panel.missing || "not known" : minus(entry(panel, i).toFixed(panel.digits)) + error(panel.bounds && panel.bounds[i]);

/** The entry that an arrow key moves to; null for other keys. */
function stepGrid(i, key, rows, columns) {
  let [r, c] = [Math.floor(i / columns), i % columns];
  if (key === "ArrowLeft") c--;
  else if (key === "ArrowRight") c++;
  else if (key === "ArrowUp") r--;
  else if (key === "ArrowDown") r++;
  else if (key === "Home") c = 0;
  else if (key === "End") c = columns - 1;
  else return null;
  return Math.min(Math.max(r, 0), rows - 1) * columns + Math.min(Math.max(c, 0), columns - 1);
}

/** Entries as pixels of an image, which stays sharp at every size. */
function picture(panel, rows, columns, index) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    const value = entry(panel, index(i));
    if (value !== null) image.data.set([...shade(share(panel, value)), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function drawPicture(svg, href, x, y, width, height) {
  shape(svg, "rect", {class: "blank", x, y, width, height});
  shape(svg, "image", {href, x, y, width, height, preserveAspectRatio: "none", class: "cells"});
}

/** A table of numbers as colours, with texts in the cells if the panel has texts. */
function heat(panel, svg, width) {
  const [rows, columns] = [panel.y.names.length, panel.x.names.length];
  const isWorded = Boolean(panel.texts);
  const names = panel.y.names.map(n => fitted(n, width < 500 ? 76 : 130));
  const left = 30 + Math.max(...names.map(n => measure(n)));
  const right = 88;
  const longest = Math.max(...panel.x.names.map(n => measure(n)));
  const room = Math.max(width - left - right, columns * (isWorded ? 62 : 1));
  const cell = room / columns;
  const isTurned = longest + 8 > cell && panel.x.names.some(n => /[^0-9]/.test(n));
  const foot = isTurned ? Math.min(longest, 96) + 30 : 42;
  const isSquare = rows === columns && !isWorded && !panel.isFlat;
  const down = isWorded ? 24 * rows : isSquare ? Math.min(room, 620) : Math.min(Math.max(18 * rows, 120), 620);
  const across = isSquare ? Math.min(room, down) : room;
  const top = panel.title ? 26 : 8;
  const frame = {left, right: left + across, top, bottom: top + down};
  const [w, h] = [across / columns, down / rows];
  if (panel.title) shape(svg, "text", {class: "title", x: (frame.left + frame.right) / 2, y: 15, "text-anchor": "middle"}, panel.title);
  drawPicture(svg, picture(panel, rows, columns, i => i), left, top, across, down);
  const x = c => left + (c + 0.5) * w;
  if (isTurned) {
    for (const {at, text} of placeNames(panel.x.names, 15, x)) {
      shape(svg, "text", {
        x: 0, y: 0, "text-anchor": "end", transform: `translate(${at + 4} ${frame.bottom + 8}) rotate(-90)`,
      }, fitted(text, 96));
    }
    shape(svg, "text", {class: "label", x: (left + frame.right) / 2, y: frame.bottom + foot - 6, "text-anchor": "middle"}, panel.x.label);
  } else {
    bottomAxis(svg, frame, placeNames(panel.x.names, longest + 8, x), panel.x.label);
  }
  leftAxis(svg, frame, placeNames(names, 15, r => top + (r + 0.5) * h), panel.y.label);
  colourBar(svg, frame, panel.colour);
  if (isWorded) {
    panel.texts.forEach((text, i) => {
      if (!text) return;
      const isLight = share(panel, entry(panel, i)) > 0.55;
      shape(svg, "text", {
        class: isLight ? "on-light" : "on-dark", x: x(i % columns), y: top + (Math.floor(i / columns) + 0.5) * h + 4, "text-anchor": "middle",
      }, fitted(text, w - 6));
    });
  }
  const places = i => [Math.floor(i / columns), i % columns];
  return {
    height: frame.bottom + foot, width: Math.max(width, frame.right + right), count: panel.values.length,
    hit: (px, py) => (px < left || py < top || px >= frame.right || py >= frame.bottom
      ? null : Math.floor((py - top) / h) * columns + Math.floor((px - left) / w)),
    box: i => ({x: left + places(i)[1] * w, y: top + places(i)[0] * h, width: w, height: h}),
    tip: i => {
      const [r, c] = places(i);
      const lines = [`${panel.y.word} ${panel.y.names[r]}, ${panel.x.word} ${panel.x.names[c]}`];
      if (isWorded && panel.texts[i]) lines.push(`“${panel.texts[i]}”`);
      return [...lines, `${panel.colour.label}: ${entryText(panel, i)}`];
    },
    step: (i, key) => stepGrid(i, key, rows, columns),
    rows: () => [
      [panel.y.word, panel.x.word, ...(isWorded ? ["token"] : []), panel.colour.label, ...(panel.bounds ? ["bound"] : [])],
      ...panel.values.map((_, i) => {
        const [r, c] = places(i);
        return [panel.y.names[r], panel.x.names[c], ...(isWorded ? [panel.texts[i]] : []), entry(panel, i), ...(panel.bounds ? [panel.bounds[i]] : [])];
      }),
    ],
  };
}

/** Small tables side by side, each with its name above. */
function mosaic(panel, svg, width) {
  const {side, across, tiles} = panel;
  const room = width - 100;
  const down = Math.ceil(tiles.length / across);
  const pitch = room / across;
  const size = pitch * 0.93;
  const lead = 16;
  const corner = t => ({x: 8 + (t % across) * pitch, y: Math.floor(t / across) * (pitch + lead) + lead});
  tiles.forEach((tile, t) => {
    const {x, y} = corner(t);
    const name = measure(`A(${tile})`, 11) < size ? `A(${tile})` : tile;
    shape(svg, "text", {class: "small", x: x + size / 2, y: y - 3, "text-anchor": "middle"}, name);
    drawPicture(svg, picture(panel, side, side, i => t * side * side + i), x, y, size, size);
  });
  const bottom = corner((down - 1) * across).y + size;
  colourBar(svg, {right: 8 + room, top: lead, bottom: Math.min(bottom, lead + 420)}, panel.colour);
  const places = i => ({t: Math.floor(i / (side * side)), a: Math.floor(i / side) % side, b: i % side});
  const index = (t, a, b) => (t * side + a) * side + b;
  return {
    height: bottom + 8, width, count: panel.values.length,
    hit: (px, py) => {
      const t = Math.floor((py - lead) / (pitch + lead)) * across + Math.floor((px - 8) / pitch);
      if (px < 8 || py < lead || px >= 8 + room || !(t in tiles)) return null;
      const [a, b] = [Math.floor((py - corner(t).y) / size * side), Math.floor((px - corner(t).x) / size * side)];
      return a < 0 || a >= side || b >= side ? null : index(t, a, b);
    },
    box: i => {
      const {t, a, b} = places(i);
      const {x, y} = corner(t);
      return {x: x + b * size / side, y: y + a * size / side, width: size / side, height: size / side};
    },
    tip: i => {
      const {t, a, b} = places(i);
      return [`A(${tiles[t]}), entry ${a + 1}, ${b + 1}`, `${panel.colour.label}: ${entryText(panel, i)}`];
    },
    // The arrow keys move through all tables as one grid.
    step: (i, key) => {
      const {t, a, b} = places(i);
      const columns = across * side;
      const flat = (Math.floor(t / across) * side + a) * columns + (t % across) * side + b;
      const next = stepGrid(flat, key, down * side, columns);
      if (next === null) return null;
      const [r, c] = [Math.floor(next / columns), next % columns];
      const tile = Math.floor(r / side) * across + Math.floor(c / side);
      return tile in tiles ? index(tile, r % side, c % side) : i;
    },
    rows: () => [
      ["pair", "entry a", "entry b", panel.colour.label],
      ...panel.values.map((_, i) => [tiles[places(i).t], places(i).a + 1, places(i).b + 1, entry(panel, i)]),
    ],
  };
}
