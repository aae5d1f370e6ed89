
// Which variants are shown, which two are compared and how tables are sorted, on pages that have any of these. All of that stands
// in the page's address behind the section, so that a link shows to others what its sender saw:
// #causes;hide=0.3;compare=1.2;sort=comparison:4:down
// Variants and columns are numbers there: names are data. Like the other script without a less-than sign and without an ampersand.
(function () {
  "use strict";
  var chooser = document.querySelector(".chooser");
  var boxes = chooser ? Array.from(chooser.querySelectorAll("input")) : [];
  var sides = chooser ? [chooser.querySelector(".one"), chooser.querySelector(".other")] : [];
  var pair = document.querySelector("#pair");
  var count = boxes.length;
  var state = { place: "", hidden: [], compared: null, sorted: new Map() };

  function numbers(text) {
    return text.split(".").filter(function (one) { return /^\d{1,4}$/.test(one); }).map(Number)
      .filter(function (one, at, all) { return count > one ? all.indexOf(one) === at : false; });
  }

  function parsed(hash) {
    var parts = hash.replace(/^#/, "").split(";");
    var told = { place: parts[0], hidden: [], compared: null, sorted: new Map() };
    parts.slice(1).forEach(function (part) {
      var at = part.indexOf("=");
      var key = part.slice(0, Math.max(at, 0)), value = part.slice(at + 1);
      if (key === "hide") { told.hidden = numbers(value); }
      if (key === "compare") {
        var two = numbers(value);
        if (two.length === 2) { told.compared = two; }
      }
      if (key === "sort") {
        value.split(",").forEach(function (one) {
          var found = /^([a-z][a-z0-9-]*):(\d{1,4}):(up|down)$/.exec(one);
          if (found) { told.sorted.set(found[1], { column: Number(found[2]), way: found[3] }); }
        });
      }
    });
    // Of nothing at all there is nothing to be seen.
    if (told.hidden.length === count) { told.hidden = []; }
    return told;
  }

  function written() {
    var sorts = Array.from(state.sorted).map(function (one) { return [one[0], one[1].column, one[1].way].join(":"); });
    return [state.place]
      .concat(state.hidden.length ? "hide=" + state.hidden.join(".") : [])
      .concat(state.compared ? "compare=" + state.compared.join(".") : [])
      .concat(sorts.length ? "sort=" + sorts.join(",") : [])
      .join(";");
  }

  function keep() {
    history.replaceState(null, "", "#" + written());
    show();
  }

  // How a number that is shown compares: seconds, shares, counts. Nothing where it is no number.
  var units = { "%": 1, "/s": 1, "×": 1, "pp": 1, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400 };
  function quantity(text) {
    var mark = /^[~≥≤>\u003c\s]*/.exec(text)[0];
    var rest = text.slice(mark.length).replace("−", "-");
    if (/^never/.test(rest)) { return Infinity; }
    var sum = null, found = true;
    while (found) {
      found = /^([-+]?[\d,]*\.?\d+)(?:\s*(%|\/s|×|pp|µs|ms|min|s|h|d)(?![\w]))?(?![\w:.])\s*/.exec(rest);
      if (found) {
        sum = (sum || 0) + Number(found[1].replace(/,/g, "")) * (found[2] ? units[found[2]] : 1);
        rest = rest.slice(found[0].length);
        if (!found[2]) { break; }
      }
    }
    if (sum === null) { return null; }
    // Just short of all, and just above none.
    return mark.indexOf("\u003c") >= 0 ? sum * 0.999 : mark.indexOf(">") >= 0 ? sum * 1.001 : sum;
  }

  function words(cell) {
    var figure = cell.querySelector(".figure");
    var first = cell.firstChild;
    var text = figure ? figure.textContent : first ? (first.nodeType === 3 ? first.nodeValue : cell.textContent) : "";
    text = text.trim();
    return text === "–" ? "" : text;
  }

  var tables = Array.from(document.querySelectorAll("table[data-table]")).map(function (table) {
    var rows = [];
    Array.from(table.tBodies).forEach(function (body) {
      Array.from(body.rows).forEach(function (row) { rows.push({ row: row, body: body, place: rows.length }); });
    });
    var told = { table: table, id: table.dataset.table, rows: rows, heads: Array.from(table.tHead.rows[0].cells), keys: [] };
    told.heads.forEach(function (head, column) {
      if (!rows.some(function (one) { var cell = one.row.cells[column]; return cell ? words(cell) : false; })) { return; }
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () { turn(told, column); });
    });
    return told;
  });

  // The keys of a column: numbers where all of its cells are, else words.
  function keysOf(told, column) {
    if (!told.keys[column]) {
      var texts = told.rows.map(function (one) { var cell = one.row.cells[column]; return cell ? words(cell) : ""; });
      var figures = texts.map(quantity);
      var plain = told.rows.some(function (one, at) {
        var cell = one.row.cells[column];
        // Names are no numbers, whatever they look like; the values of a setting are.
        if (!texts[at]) { return false; }
        return figures[at] === null || (cell.tagName === "TH" ? !cell.hasAttribute("data-figure") : false);
      });
      told.keys[column] = texts.map(function (text, at) { return text ? (plain ? text : figures[at]) : null; });
      told.keys[column].plain = plain;
    }
    return told.keys[column];
  }

  // First what one looks for, names from the front and numbers from the top, then the other way, then as it was.
  function turn(told, column) {
    var first = keysOf(told, column).plain ? "up" : "down";
    var now = state.sorted.get(told.id);
    if (!now || now.column !== column) {
      state.sorted.set(told.id, { column: column, way: first });
    } else if (now.way === first) {
      state.sorted.set(told.id, { column: column, way: first === "up" ? "down" : "up" });
    } else {
      state.sorted.delete(told.id);
    }
    keep();
  }

  function sort(told) {
    var wanted = state.sorted.get(told.id);
    if (wanted) { if (!told.heads[wanted.column]) { wanted = null; } }
    var name = wanted ? wanted.column + wanted.way : "";
    if ((told.last || "") !== name) {
      told.last = name;
      told.heads.forEach(function (head, column) {
        if (wanted ? column === wanted.column : false) {
          head.setAttribute("aria-sort", wanted.way === "up" ? "ascending" : "descending");
        } else {
          head.removeAttribute("aria-sort");
        }
      });
      told.table.classList.toggle("sorted", Boolean(wanted));
      if (wanted) {
        var keys = keysOf(told, wanted.column), sign = wanted.way === "up" ? 1 : -1;
        var order = told.rows.slice().sort(function (one, other) {
          var a = keys[one.place], b = keys[other.place];
          // What has no value stands last either way, and equals as they were.
          if (a === null || b === null) { return (a === null) - (b === null) || one.place - other.place; }
          var by = keys.plain ? a.localeCompare(b, "en", { numeric: true }) : a === b ? 0 : a - b;
          return sign * by || one.place - other.place;
        });
        order.forEach(function (one) { told.rows[0].body.appendChild(one.row); });
      } else {
        told.rows.forEach(function (one) { one.body.appendChild(one.row); });
      }
    }
    if (told.table.classList.contains("grouped")) { group(told.table); }
  }

  // A name that stands in the row above too is told quietly.
  function group(table) {
    var above = [];
    Array.from(table.tBodies).forEach(function (body) {
      Array.from(body.rows).forEach(function (row) {
        if (row.classList.contains("away")) { return; }
        var same = true;
        Array.from(row.querySelectorAll("th.rep")).forEach(function (cell, at) {
          var text = cell.querySelector("bdi").textContent;
          same = same ? above[at] === text : false;
          cell.classList.toggle("again", same);
          above[at] = text;
        });
      });
    });
  }

  function rowOf(number) {
    return Array.from(document.querySelectorAll("table[data-table=comparison] tbody tr")).find(function (row) {
      return row.dataset.variants.split(" ").map(Number).includes(number);
    });
  }

  function name(number) { return boxes[number].parentNode.querySelector("bdi").textContent; }

  function element(tag, text, scope) {
    var made = document.createElement(tag);
    made.textContent = text;
    if (scope) { made.setAttribute("scope", scope); }
    return made;
  }

  // Two variants beside one another, from the cells of the table of all.
  function comparePair() {
    pair.hidden = !state.compared;
    if (!state.compared) { return; }
    var table = pair.querySelector("table"), body = table.tBodies[0];
    var two = state.compared.map(rowOf);
    state.compared.forEach(function (number, side) {
      table.tHead.rows[0].cells[side + 1].querySelector("bdi").textContent = name(number);
    });
    body.replaceChildren();
    Array.from(document.querySelectorAll("table[data-table=comparison] thead th")).slice(1).forEach(function (head, column) {
      var row = body.insertRow();
      var title = Array.from((head.querySelector("button") || head).childNodes).map(function (node) { return node.nodeValue || " "; });
      row.appendChild(element("th", title.join("").replace("- ", "-").trim(), "row"));
      var texts = two.map(function (found) { return words(found.cells[column + 1]); });
      var values = texts.map(quantity);
      var known = head.dataset.good ? values.indexOf(null) === -1 : false;
      var better = known ? (values[0] === values[1] ? -1 : (values[0] > values[1]) === (head.dataset.good === "high") ? 0 : 1) : -1;
      texts.forEach(function (text, side) {
        var cell = element("td", text || "–");
        if (side === better) { cell.appendChild(element("span", "▲ better")).className = "mark best"; }
        row.appendChild(cell);
      });
    });
  }

  function show() {
    var shown = new Set();
    for (var number = 0; number !== count; number += 1) {
      if (state.compared ? state.compared.includes(number) : !state.hidden.includes(number)) { shown.add(number); }
    }
    if (count) {
      document.querySelectorAll("[data-variants]").forEach(function (part) {
        var of = part.dataset.variants;
        var there = !of || of.split(" ").some(function (one) { return shown.has(Number(one)); });
        part.classList.toggle("away", !there);
      });
      boxes.forEach(function (box, number) {
        box.checked = shown.has(number);
        // The last one stays.
        box.disabled = shown.size === 1 ? box.checked : false;
      });
      sides.forEach(function (select, side) { select.value = state.compared ? String(state.compared[side]) : select.value; });
      chooser.querySelector(".chosen").textContent = shown.size === count ? "all " + count : shown.size + " of " + count;
      comparePair();
    }
    tables.forEach(sort);
  }

  boxes.forEach(function (box, number) {
    box.addEventListener("change", function () {
      var hidden = boxes.map(function (one, at) { return one.checked ? -1 : at; }).filter(function (at) { return at >= 0; });
      state.compared = null;
      sides.forEach(function (select) { select.value = ""; });
      state.hidden = hidden;
      keep();
    });
  });
  sides.forEach(function (select) {
    select.addEventListener("change", function () {
      var two = sides.map(function (side) { return side.value; });
      var both = two.every(function (value) { return value !== ""; });
      state.compared = both ? (two[0] === two[1] ? null : two.map(Number)) : null;
      keep();
      if (state.compared) { pair.scrollIntoView({ block: "nearest" }); }
    });
  });
  if (chooser) {
    chooser.hidden = false;
    chooser.querySelector(".everything").addEventListener("click", function () {
      state.hidden = [];
      state.compared = null;
      sides.forEach(function (select) { select.value = ""; });
      keep();
    });
    chooser.addEventListener("keydown", function (event) { if (event.key === "Escape") { chooser.open = false; } });
  }

  function adopt() {
    state = parsed(location.hash);
    sides.forEach(function (select) { select.value = ""; });
    show();
    var place = state.place ? document.getElementById(state.place) : null;
    if (place) { place.scrollIntoView(); }
  }

  // A link to a section of the page says nothing of what is shown, and leaves it.
  addEventListener("hashchange", function () {
    if (location.hash.includes(";") || location.hash === "") { adopt(); return; }
    state.place = parsed(location.hash).place;
    if (written() !== state.place) { history.replaceState(null, "", "#" + written()); }
  });
  if (location.hash.includes(";")) { adopt(); } else { state.place = parsed(location.hash).place; show(); }
}());
