// Controls, values shown at the pointer or by the keyboard, data as CSV, and light and dark colours.

const tip = add(document.body, "div", {class: "tip", role: "status", hidden: ""});

function say(lines, node, box) {
  tip.replaceChildren();
  for (const line of lines) add(tip, "div", {}, line);
  tip.hidden = false;
  speaker = node;
  const frame = node.getBoundingClientRect();
  const [x, y] = [frame.left + box.x + box.width / 2, frame.top + box.y];
  const left = Math.min(Math.max(x - tip.offsetWidth / 2, 4), document.documentElement.clientWidth - tip.offsetWidth - 4);
  const above = y - tip.offsetHeight - 8;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 0 ? above : y + box.height + 10) + window.scrollY}px`;
}

const hush = () => { tip.hidden = true; };
let speaker = null;  // the chart whose value is shown

/** One panel of a figure, drawn to its current width, and again when the width changes. */
function makePanel(parent, title) {
  const home = add(parent, "div", {class: "panel"});
  const svg = shape(home, "svg", {tabindex: 0, role: "application", "aria-roledescription": "chart", "aria-label": `${title}. Arrow keys move from value to value.`});
  let [chart, chosen, cursor] = [null, 0, null];
  const choose = i => {
    chosen = i;
    const box = chart.box(i);
    cursor.removeAttribute("visibility");
    for (const key in box) cursor.setAttribute(key, box[key]);
    say(chart.tip(i), svg, box);
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    if (speaker === svg) hush();
  };
  const point = event => {
    const frame = svg.getBoundingClientRect();
    const i = chart && chart.hit(event.clientX - frame.left, event.clientY - frame.top);
    if (i === null) leave();
    else choose(i);
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("focus", () => svg.matches(":focus-visible") && chart.count && choose(chosen));
  svg.addEventListener("keydown", event => {
    if (event.key === "Escape") return leave();
    const next = event.ctrlKey || event.altKey || event.metaKey || !chart.count ? null : chart.step(chosen, event.key);
    if (next === null) return;
    event.preventDefault();
    choose(next);
  });
  return {
    place(panel) {
      home.style.flexGrow = panel.grow || 1;
      home.style.flexBasis = panel.basis ? `${panel.basis}px` : "";
    },
    draw(panel, limit) {
      const width = Math.max(home.clientWidth, 240);
      svg.replaceChildren();
      chart = panel.type === "heat" ? heat(panel, svg, width) : panel.type === "mosaic" ? mosaic(panel, svg, width) : lines(panel, svg, width, limit);
      svg.setAttribute("width", chart.width);
      svg.setAttribute("height", chart.height);
      cursor = shape(svg, "rect", {class: "cursor", visibility: "hidden"});
      if (chosen >= chart.count) chosen = 0;
    },
    rows: () => chart.rows(),
  };
}

/** A CSV field. A text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe. */
function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) && isNaN(value) ? `'${value}` : value;
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function save(name, rows) {
  const text = rows.map(row => row.map(field).join(",")).join("\n") + "\n";
  const address = URL.createObjectURL(new Blob([text], {type: "text/csv;charset=utf-8"}));
  const link = add(document.body, "a", {href: address, download: `${name}.csv`});
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** Replaces a figure's picture by interactive charts. */
function enliven(figure, data) {
  const heading = figure.querySelector("h3").textContent;
  const home = document.createElement("div");
  home.className = "live";
  const switches = add(home, "div", {class: "switches"});
  const choices = data.controls.map(control => {
    const label = add(switches, "label", {}, `${control.label} `);
    const select = add(label, "select");
    control.options.forEach(text => add(select, "option", {}, text));
    select.selectedIndex = control.start || 0;
    return {control, select};
  });
  if (data.note) add(home, "p", {class: "note"}, data.note);
  const board = add(home, "div", {class: "panels"});
  figure.querySelector(".picture").before(home);
  const panels = data.panels.map((p, i) => makePanel(board, p.title ? `${heading}: ${p.title}` : data.panels.length > 1 ? `${heading}, part ${i + 1}` : heading));
  let shown = [];
  const draw = () => {
    hush();
    const key = choices.filter(c => !c.control.limit).map(c => c.select.selectedIndex).join(".");
    const limits = choices.filter(c => c.control.limit).map(c => c.control.limit[c.select.selectedIndex]);
    const view = data.views[key];
    shown = data.panels.map((panel, i) => ({...panel, ...view[i]}));
    // All panels are placed before any is drawn: the width of one depends on its neighbours.
    panels.forEach((panel, i) => panel.place(shown[i]));
    panels.forEach((panel, i) => panel.draw(shown[i], shown[i].isLimited && limits.length ? limits[0] : null));
  };
  choices.forEach(({select}) => select.addEventListener("change", draw));
  draw();
  let width = board.clientWidth;
  new ResizeObserver(() => {
    if (board.clientWidth === width) return;
    width = board.clientWidth;
    if (width) draw();
  }).observe(board);
  const button = add(figure.querySelector(".files"), "button", {type: "button"}, "CSV of what is shown");
  button.addEventListener("click", () => {
    const settings = choices.map(c => [c.control.label, c.select.options[c.select.selectedIndex].textContent]);
    save(figure.id, [...settings, ...panels.flatMap((panel, i) => [...(i || settings.length ? [[]] : []), ...panel.rows()])]);
  });
  figure.classList.add("is-live");
}

function addThemeButton() {
  const root = document.documentElement;
  const isDark = () => (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = add(document.querySelector("header"), "button", {type: "button", class: "theme"});
  const name = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
  button.addEventListener("click", () => {
    root.style.colorScheme = isDark() ? "light" : "dark";
    name();
  });
  name();
}

addThemeButton();
const figures = JSON.parse(document.getElementById("data").textContent);
for (const name in figures) {
  const figure = document.getElementById(name);
  try {
    enliven(figure, figures[name]);
  } catch {
    // The picture stays visible.
    figure.querySelector(".live")?.remove();
  }
}
document.addEventListener("keydown", event => event.key === "Escape" && hush());
