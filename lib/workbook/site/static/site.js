// What a page can do beyond being read: theme, folded code, plots, filters, ways into what is folded. All of it is optional to read the page.
addEventListener("DOMContentLoaded", () => {
  "use strict";
  // By now plotly.js, which is deferred, has run too.
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const plots = [];

  // Theme
  const theme = document.getElementById("theme");
  const showTheme = () => {
    if (theme) theme.setAttribute("aria-pressed", String(isDark()));
    dress();
  };
  if (theme) {
    theme.hidden = false;
    theme.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      // A browser may forbid storage to files; the choice then holds for this page.
      try { localStorage.setItem("workbook-theme", root.dataset.theme); } catch { /* nothing to do */ }
      showTheme();
    });
  }
  dark.addEventListener("change", showTheme);

  // Code
  const code = document.getElementById("code");
  if (code) {
    code.hidden = false;
    root.classList.toggle("with-code", code.getAttribute("aria-pressed") === "true");
    code.addEventListener("click", () => {
      const show = code.getAttribute("aria-pressed") !== "true";
      code.setAttribute("aria-pressed", String(show));
      root.classList.toggle("with-code", show);
      document.querySelectorAll("details.code").forEach((cell) => { cell.open = show; });
    });
  }

  // Plots
  const axes = (layout) => Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  const inks = (layout) => {
    const made = { "font.color": colour("--wb-ink"), "hoverlabel.bordercolor": "rgba(0,0,0,0)" };
    for (const axis of axes(layout)) {
      made[`${axis}.gridcolor`] = made[`${axis}.zerolinecolor`] = colour("--wb-line");
      made[`${axis}.linecolor`] = colour("--wb-line");
      made[`${axis}.tickfont.color`] = colour("--wb-muted");
    }
    return made;
  };
  function dress() {
    for (const plot of plots) Plotly.relayout(plot, inks(plot.layout));
  }
  const draw = (figure) => {
    const area = figure.querySelector(".plot-area");
    const content = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const layout = { ...content.layout, autosize: true };
    // A pie has no axes, and would get some by having them coloured.
    if (content.data.some((trace) => "x" in trace || "y" in trace || trace.type === "heatmap")) {
      layout.xaxis ??= {};
      layout.yaxis ??= {};
    }
    delete layout.width;
    layout.paper_bgcolor ??= "rgba(0,0,0,0)";
    layout.plot_bgcolor ??= "rgba(0,0,0,0)";
    for (const [path, value] of Object.entries(inks(layout))) {
      const keys = path.split(".");
      const last = keys.pop();
      let place = layout;
      for (const key of keys) place = place[key] = { ...place[key] };
      place[last] = value;
    }
    return Plotly.newPlot(area, content.data, layout, {
      responsive: true,
      displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    }).then(() => plots.push(area));
  };
  const figures = [...document.querySelectorAll("figure.plot")];
  if (figures.length && window.Plotly) {
    Promise.all(figures.map(draw)).then(() => { root.dataset.drawn = "true"; });
    // On paper the page is light and narrower than most screens.
    let chosen = null;
    addEventListener("beforeprint", () => {
      chosen = root.dataset.theme ?? "";
      root.dataset.theme = "light";
      for (const plot of plots) Plotly.relayout(plot, { ...inks(plot.layout), autosize: false, width: 640 });
    });
    addEventListener("afterprint", () => {
      if (chosen) root.dataset.theme = chosen;
      else delete root.dataset.theme;
      for (const plot of plots) Plotly.relayout(plot, { ...inks(plot.layout), autosize: true, width: null });
    });
  }
  showTheme();

  // A link to something folded unfolds it, and the keyboard goes on from there
  const unfold = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    for (let box = place; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    place.scrollIntoView();
    place.querySelector(":scope > summary")?.focus({ preventScroll: true });
  };
  addEventListener("hashchange", unfold);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    // The same link twice changes no address.
    if (link && link.hash === location.hash) unfold();
  });
  if (location.hash) unfold();

  // Tables by name
  for (const box of document.querySelectorAll(".wb-filter")) {
    const group = box.parentElement;
    const lines = [...group.querySelectorAll(".wb-line")].map((line) => [line, line.querySelector(".wb-name").textContent.toLowerCase()]);
    const rest = group.querySelector(":scope > details");
    const said = box.querySelector("[role=status]");
    box.hidden = lines.length < 10;
    box.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.trim().toLowerCase();
      let shown = 0;
      for (const [line, name] of lines) {
        line.hidden = words !== "" && !name.includes(words);
        shown += !line.hidden;
      }
      if (rest && words) rest.open = true;
      said.textContent = words ? `${shown} of ${lines.length} tables` : "";
    });
  }

  // Contents: the section that is being read
  const links = new Map([...document.querySelectorAll(".side .toc a")].map((link) => [link.hash.slice(1), link]));
  if (links.size) {
    const headings = [...links.keys()].map((id) => document.getElementById(decodeURIComponent(id))).filter(Boolean);
    const mark = () => {
      const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 4;
      const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 120);
      const now = atEnd && scrollY > 0 ? headings.at(-1) : passed.at(-1);
      for (const [id, link] of links) {
        if (now && decodeURIComponent(id) === now.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    let waiting = false;
    addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; mark(); });
    }, { passive: true });
    mark();
  }

  // Runs: how long ago, and filters
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const ago = (instant) => {
    const seconds = (instant - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    return words.format(Math.round(seconds / size), unit);
  };
  const sayAgo = () => {
    for (const place of document.querySelectorAll(".ago")) {
      const time = place.closest(".facts, .facts-line").querySelector("time");
      if (time) place.textContent = ago(new Date(time.dateTime));
    }
  };
  sayAgo();
  setInterval(sayAgo, 60000);
  const filters = document.querySelector(".filters");
  if (filters) {
    filters.hidden = false;
    const runs = [...document.querySelectorAll(".run")];
    const [environment, status] = filters.querySelectorAll("select");
    const filter = () => {
      let shown = 0;
      for (const run of runs) {
        const fits = (!environment.value || run.dataset.environment === environment.value)
          && (!status.value || run.dataset.status === status.value);
        run.hidden = !fits;
        shown += fits;
      }
      for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".run:not([hidden])");
      document.getElementById("found").textContent = shown === runs.length
        ? `${runs.length} ${runs.length === 1 ? "run" : "runs"}` : `${shown} of ${runs.length} runs`;
    };
    filters.addEventListener("change", filter);
    filter();
  }
});
