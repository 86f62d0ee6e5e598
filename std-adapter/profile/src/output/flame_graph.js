// Zooms and searches a flame graph. Every frame has its place (data-x), its width (data-w), both in the unit of the
// profile, and its depth (data-d).
(() => {
  const MARGIN = 10, CHARACTER = 6.8;
  const svg = document.documentElement, byId = id => document.getElementById(id);
  const inner = Number(svg.getAttribute("width")) - 2 * MARGIN;
  const frames = [...byId("frames").children].map(g => ({
    g, x: Number(g.dataset.x), w: Number(g.dataset.w), depth: Number(g.dataset.d),
    rect: g.querySelector("rect"), text: g.querySelector("text"), title: g.querySelector("title").textContent,
    name: g.querySelector("title").textContent.replace(/ \([^(]*\)$/, ""),
  }));
  const all = frames[0];
  // Where the parts of a path begin, which :: separates outside of brackets.
  const parts = letters => {
    const begins = [0];
    let depth = 0;
    letters.forEach((c, at) => {
      if ("<([{".includes(c)) depth++;
      else if (">)]}".includes(c) && !(c === ">" && letters[at - 1] === "-")) depth--;
      else if (c === ":" && depth === 0 && letters[at - 1] === ":") begins.push(at + 1);
    });
    return begins;
  };
  // What of a name fits: without the first parts of its path, or else the start of its last part.
  const label = (name, width) => {
    const fits = Math.floor((width - 6) / CHARACTER), letters = [...name], begins = parts(letters);
    const last = begins.findLast(at => at === 0 || letters[at] !== "{");
    const begin = begins.find(at => at <= last && letters.length - at <= fits);
    if (begin !== undefined) return letters.slice(begin).join("");
    return fits < 4 ? "" : letters.slice(last, last + fits - 2).join("") + "..";
  };
  const zoom = to => {
    for (const f of frames) {
      const below = f.depth < to.depth && f.x <= to.x && f.x + f.w >= to.x + to.w;
      const start = below ? 0 : (f.x - to.x) / to.w, width = below ? 1 : f.w / to.w;
      const seen = below || (f.depth >= to.depth && start >= 0 && start + width <= 1 + 1e-9);
      f.g.style.display = seen ? "" : "none";
      f.g.classList.toggle("outside", below);
      const x = MARGIN + start * inner;
      f.rect.setAttribute("x", x);
      f.rect.setAttribute("width", width * inner);
      f.text.setAttribute("x", x + 3);
      f.text.textContent = label(f.name, width * inner);
    }
  };
  const search = () => {
    const wanted = prompt("Mark functions that match this regular expression (nothing: mark none)");
    if (wanted === null) return;
    let pattern = null;
    try { pattern = wanted && new RegExp(wanted, "i"); } catch (error) { alert(error.message); return; }
    let matched = 0, end = -1;
    for (const f of frames) f.g.classList.toggle("match", Boolean(pattern) && pattern.test(f.name));
    // A matching frame within another one is not counted twice.
    const matches = frames.filter(f => f.g.classList.contains("match")).sort((a, b) => a.x - b.x || b.w - a.w);
    for (const f of matches) if (f.x >= end) { matched += f.w; end = f.x + f.w; }
    byId("found").textContent = pattern ? (100 * matched / all.w).toFixed(1) + " % match" : "";
  };
  for (const f of frames) {
    f.g.addEventListener("click", () => zoom(f));
    f.g.addEventListener("mouseover", () => { byId("detail").textContent = f.title; });
    f.g.addEventListener("mouseout", () => { byId("detail").textContent = " "; });
  }
  byId("search").addEventListener("click", search);
  addEventListener("keydown", event => {
    if ((event.ctrlKey || event.metaKey) && event.key === "f") { event.preventDefault(); search(); }
    if (event.key === "Escape") zoom(all);
  });
})();
