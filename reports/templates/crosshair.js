// One instant for all timelines: pointed at with a mouse or a finger, or moved with the keys of the slider.
// Written without a less-than sign and without an ampersand, so that the page reads the same as HTML and as XML.
(function () {
  "use strict";
  var root = document.querySelector(".timelines");
  if (!root) { return; }
  var slider = root.querySelector("#instant");
  var now = root.querySelector(".now");
  var clear = root.querySelector(".clear");
  var seconds = Number(root.dataset.seconds);
  var starts = Number(root.dataset.starts);
  var readings = Array.from(root.querySelectorAll(".value")).map(function (element) {
    return { element: element, rest: element.textContent, step: Number(element.dataset.step), values: null };
  });

  function two(number) { return String(number).padStart(2, "0"); }

  function timeOfDay(second) {
    var day = Math.floor(starts + second) % 86400;
    return [Math.floor(day / 3600), Math.floor(day / 60) % 60, day % 60].map(two).join(":");
  }

  // A value that is like the one before it is left out.
  function unpacked(text) {
    var last = "";
    return text.split("|").map(function (value) { return (last = value || last); });
  }

  function read(second) {
    root.style.setProperty("--at", String((second + 0.5) / seconds));
    root.classList.add("reading-now");
    clear.hidden = false;
    var time = timeOfDay(second);
    now.textContent = time;
    slider.value = String(second);
    slider.setAttribute("aria-valuetext", time);
    readings.forEach(function (reading) {
      reading.values = reading.values || unpacked(reading.element.dataset.values);
      reading.element.textContent = reading.values[Math.floor(second / reading.step)] || "–";
    });
  }

  function rest() {
    root.classList.remove("reading-now");
    clear.hidden = true;
    now.textContent = "UTC";
    readings.forEach(function (reading) { reading.element.textContent = reading.rest; });
  }

  var wanted = null;
  function point(event) {
    var plot = event.target.closest ? event.target.closest(".lanes .plot") : null;
    if (!plot) { return; }
    var box = plot.getBoundingClientRect();
    var share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    var before = wanted;
    wanted = Math.min(Number(slider.max), Math.floor(share * seconds));
    if (before === null) {
      requestAnimationFrame(function () { read(wanted); wanted = null; });
    }
  }

  slider.hidden = false;
  slider.addEventListener("input", function () { read(Number(slider.value)); });
  root.addEventListener("pointermove", point);
  root.addEventListener("pointerdown", point);
  clear.addEventListener("click", function () { rest(); slider.focus(); });
  root.addEventListener("keydown", function (event) { if (event.key === "Escape") { rest(); } });
}());
