// The page's behaviour: tracks on a map and recordings beside it, all at one time of a slider.
// Belongs here: drawing and moving what page.py gives. Does not belong here: any fact about answers.
"use strict";
(() => {
  const { answers, world, colours } = JSON.parse(document.getElementById("answers").textContent);
  const [slider, play, now, strip] = ["time", "play", "now", "strip"].map((id) => document.getElementById(id));
  const KM_A_DEGREE = 111.195;
  const MOST_CIRCLES = 60;
  const MOST_CORNERS = 600;
  const MOST_DOTS = 1500;
  const RIM = { color: "#0b1018", opacity: 0.55, interactive: false };

  const make = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const colourOf = (k) => colours.tracks[k % colours.tracks.length];
  const degrees = (value, [plus, minus], digits) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;
  const wrapped = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;
  const km = (value) => {
    if (value >= 10) return `${Math.round(value).toLocaleString("en")} km`;
    return value >= 1 ? `${value.toPrecision(2)} km` : `${Math.round(1000 * value)} m`;
  };
  const UNKNOWN = "not known here";
  const clock = (t) => {
    const [minutes, seconds] = [Math.floor(t / 60), t % 60];
    return minutes ? `${minutes}:${seconds.toFixed(1).padStart(4, "0")} min` : `${seconds.toFixed(1)} s`;
  };

  // --- the map -------------------------------------------------------------------------------------

  // Degrees as they are, narrower by what a degree of longitude is shorter at a latitude: a kilometre
  // is as long in both there, the antimeridian is like any other place, and poles can be shown.
  const earthAt = (lat) => {
    const narrow = Math.max(Math.cos((lat * Math.PI) / 180), 0.1);
    return L.extend({}, L.CRS.Earth, {
      projection: L.Projection.LonLat,
      transformation: L.transformation(narrow / 180, narrow, -1 / 180, 0.5),
    });
  };
  const map = L.map("map", {
    crs: earthAt(0), renderer: L.canvas({ padding: 0.3 }), attributionControl: false,
    zoomSnap: 0.25, minZoom: 0, maxZoom: 20, center: [0, 0], zoom: 1,
    maxBounds: [[-100, -800], [100, 800]],
  });
  L.control.scale({ imperial: false }).addTo(map);

  const unpacked = (numbers, units) => {
    const line = [];
    let [lat, lon] = [0, 0];
    for (let k = 0; k < numbers.length; k += 2) {
      lat += numbers[k];
      lon += numbers[k + 1];
      line.push([lat / units, lon / units]);
    }
    return line;
  };
  const shifted = (line, turn) => line.map(([lat, lon]) => [lat, lon + turn]);
  const TURNS = [-360, 0, 360];
  const regions = answers.map((answer) => answer.ground);
  const covered = ([lat, lon]) =>
    regions.some(({ bounds: [[s, w], [n, e]] }) => lat > s && lat < n && lon > w && lon < e);
  // Where a region has finer lines, the world's are left out.
  const uncovered = (line) => {
    const parts = [[]];
    for (const point of line) covered(point) ? parts.push([]) : parts[parts.length - 1].push(point);
    return parts.filter((part) => part.length > 1);
  };
  const layers = {};
  const layer = (name) => (layers[name] ??= L.layerGroup());

  const drawGround = () => {
    for (const turn of TURNS) {
      const bounds = shifted(world.bounds, turn);
      L.imageOverlay(world.picture, bounds, { className: "ground", alt: "" }).addTo(map);
    }
    for (const { picture, bounds } of regions) {
      L.imageOverlay(picture, bounds, { className: "ground", alt: "" }).addTo(map);
    }
    const styles = { coasts: { color: "#cfe3ff", weight: 0.8 }, countries: { color: "#ffe9c4", weight: 0.8, dashArray: "4 3" } };
    for (const kind of ["coasts", "countries"]) {
      const far = world.lines[kind].map((line) => unpacked(line, world.unitsADegree));
      const lines = TURNS.flatMap((turn) => far.flatMap((line) => uncovered(shifted(line, turn))));
      for (const each of regions) lines.push(...each.lines[kind].map((line) => unpacked(line, each.unitsADegree)));
      L.polyline(lines, { ...styles[kind], opacity: 0.7, interactive: false }).addTo(layer("borders"));
    }
  };

  const names = [];
  const drawNames = () => {
    const here = regions.flatMap((each) => each.names);
    const far = world.names.filter(([, lat, lon]) => !covered([lat, lon]));
    for (const [name, lat, lon] of [...here, ...far]) {
      const icon = L.divIcon({ className: "name", html: make("span", {}, name), iconSize: null, iconAnchor: [-7, 6] });
      names.push(L.marker([lat, lon], { icon, interactive: false, keyboard: false }).addTo(layer("names")));
    }
    map.on("zoomend moveend", thinNames);
  };
  // Larger places first; one that would lie on another is not shown.
  const thinNames = () => {
    const taken = [];
    for (const name of names) {
      const element = name.getElement();
      if (!element) return;
      const { x, y } = map.latLngToContainerPoint(name.getLatLng());
      const wide = 7 * element.textContent.length + 14;
      const free = taken.every((t) => x + wide < t.x || t.x + t.wide < x || Math.abs(y - t.y) > 15);
      element.style.visibility = free ? "" : "hidden";
      if (free) taken.push({ x, y, wide });
    }
  };

  // Corners of a circle on the ground; one that holds a pole ends at the map's edge.
  const circle = (lat, lon, radiusKm) => {
    const [reach, at] = [radiusKm / KM_A_DEGREE / (180 / Math.PI), (lat * Math.PI) / 180];
    const corners = [];
    let before = null;
    for (let k = 0; k <= 64; k++) {
      const bearing = (-2 * Math.PI * k) / 64;
      const sine = Math.sin(at) * Math.cos(reach) + Math.cos(at) * Math.sin(reach) * Math.cos(bearing);
      const across = Math.sin(bearing) * Math.sin(reach) * Math.cos(at);
      let east = (Math.atan2(across, Math.cos(reach) - Math.sin(at) * sine) * 180) / Math.PI;
      if (before !== null) east += 360 * Math.round((before - east) / 360);
      before = east;
      corners.push([(Math.asin(sine) * 180) / Math.PI, lon + east]);
    }
    const [first, last] = [corners[0], corners[64]];
    if (Math.abs(last[1] - first[1]) > 180) {
      const pole = lat > 0 ? 90 : -90;
      corners.push([pole, last[1]], [pole, first[1]]);
    }
    return corners;
  };

  const stretches = (lats, lons) => {
    const parts = [[]];
    lats.forEach((lat, k) => (lat === null ? parts.push([]) : parts[parts.length - 1].push([lat, lons[k]])));
    return parts.filter((part) => part.length);
  };
  const drawLine = (lines, colour, name, weight = 3) => {
    const shape = { weight: weight + 3, ...RIM, smoothFactor: 1 };
    L.polyline(lines, shape).addTo(layer(name));
    L.polyline(lines, { color: colour, weight, interactive: false }).addTo(layer(name));
    const dot = { radius: weight + 0.5, color: "#0b1018", weight: 1, fillColor: colour, fillOpacity: 1, interactive: false };
    for (const line of lines.filter((each) => each.length === 1)) L.circleMarker(line[0], dot).addTo(layer(name));
  };
  const marker = (name, colour, radius) =>
    L.circleMarker([0, 0], { radius, color: "#0b1018", weight: 2, fillColor: colour, fillOpacity: 1, interactive: false }).addTo(layer(name));
  // A marker is not seen where its position is not known.
  const put = (mark, lat, lon) => {
    const known = lat !== null;
    mark.setStyle({ opacity: +known, fillOpacity: +known });
    if (known) mark.setLatLng([lat, lon]);
  };

  const hasCircle = (answer, i) => answer.lat[i] !== null && answer.radiusKm[i] !== null;
  const drawAnswer = (answer, k) => {
    const colour = colourOf(k);
    const lines = stretches(answer.lat, answer.lon);
    for (const { ring, mass } of answer.areas.filter(({ t }) => t === null)) {
      L.polygon(ring, { color: colours.areas, weight: 1.5, fillOpacity: 0.1 })
        .bindTooltip(`${Math.round(mass * 100)} % of the probability`).addTo(layer("areas"));
    }
    if (answer.radiusKm) {
      const step = Math.ceil(answer.lat.length / MOST_CIRCLES);
      const shape = { color: colour, weight: 1, opacity: 0.35, fill: false, interactive: false };
      answer.lat.forEach((lat, i) => {
        if (i % step === 0 && hasCircle(answer, i)) L.polygon(circle(lat, answer.lon[i], answer.radiusKm[i]), shape).addTo(layer("radius"));
      });
    }
    const alone = { radius: 2.5, stroke: false, fillColor: colours.alone, fillOpacity: 0.8, interactive: false };
    for (const point of stretches(answer.aloneLat, answer.aloneLon).flat()) L.circleMarker(point, alone).addTo(layer("alone"));
    if (answer.trueLat) drawLine(stretches(answer.trueLat, answer.trueLon), colours.true, "true");
    drawLine(lines, colour, "tracks");
    const ring = { radius: 7, color: colour, weight: 2, fill: false, interactive: false };
    L.circleMarker(lines[0][0], ring).addTo(layer("tracks"));
    answer.marks = {
      area: L.polygon([], { color: colours.areas, weight: 2, fillOpacity: 0.25, interactive: false }).addTo(layer("areas")),
      circle: answer.radiusKm && L.polygon([], { color: colour, weight: 2, fillOpacity: 0.18, interactive: false }).addTo(layer("radius")),
      true: answer.trueLat && marker("true", colours.true, 6),
      alone: marker("alone", colours.alone, 5),
      here: marker("tracks", colour, 8),
    };
  };

  // --- the recordings ------------------------------------------------------------------------------

  const card = (answer, k) => {
    const facts = make("dl");
    answer.facts = facts;
    const choose = make("button", { type: "button", "aria-label": `Show on map: ${answer.name}` }, "Show on map");
    choose.addEventListener("click", () => chooseAnswer(k));
    const dot = make("span", { class: "dot", style: `background:${colourOf(k)}` });
    const head = make("div", { class: "head" }, dot, make("h2", {}, answer.name), ...(answers.length > 1 ? [choose] : []));
    const items = answer.told.map((sentence) => make("li", sentence === answer.origin.foreign ? { class: "warning" } : {}, sentence));
    const told = make("ul", { class: "told" }, ...items);
    const by = make("p", { class: "by" }, `Located by ${answer.by}`);
    answer.card = make("article", { class: "card", "aria-label": answer.name }, ...seen(answer), make("div", {}, head, facts, ...(answer.told.length ? [told] : []), by));
    return answer.card;
  };
  // Its video; small pictures in its place where the browser cannot play it, or it is not there.
  const seen = (answer) => {
    if (!answer.video) return still(answer);
    const video = make("video", { src: answer.video, preload: "metadata", playsinline: "", "aria-label": `Video ${answer.name}` });
    video.muted = true;
    video.addEventListener("error", () => {
      answer.player = null;
      video.replaceWith(...still(answer));
      showTime();
    });
    answer.player = video;
    return [video];
  };
  const still = (answer) => {
    if (!answer.thumbnails.length && !answer.pictures) return [];
    answer.still = make("img", { alt: "" });
    answer.still.addEventListener("error", () => { answer.pictures = null; showStill(answer); });
    return [answer.still];
  };
  const showStill = (answer) => {
    if (!answer.still) return;
    const k = frameAt(answer.t, time);
    const near = answer.thumbnails[frameAt(answer.thumbnails.map(([t]) => t), time)];
    const source = answer.pictures ? answer.pictures[k] : near && near[1];
    if (source && answer.still.getAttribute("src") !== source) answer.still.src = source;
    answer.still.alt = `${answer.name}: a frame near ${clock(answer.pictures || !near ? answer.t[k] : near[0])}`;
  };

  // --- time ----------------------------------------------------------------------------------------

  let [time, chosen, playing] = [0, 0, null];
  const longest = Math.max(...answers.map((answer) => answer.t[answer.t.length - 1]));
  // The last frame that is not after a time.
  const frameAt = (times, t) => {
    let [low, high] = [0, times.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= t + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const moment = (answer, t) => new Date(Date.parse(answer.began) + t * 1000).toISOString().replace("T", " ").slice(0, 21);

  const factsAt = (answer, i) => {
    const digits = answer.radiusKm && hasCircle(answer, i) && answer.radiusKm[i] < 1 ? 5 : 3;
    const rows = answer.lat[i] === null ? [["Position", UNKNOWN]] : [
      ["Position", `${degrees(answer.lat[i], "NS", digits)}, ${degrees(wrapped(answer.lon[i]), "EW", digits)}`],
      ["Near", `${answer.places[answer.near[i]]} (${km(answer.nearKm[i])})`],
    ];
    if (answer.place) rows.push(["In", `${answer.place.name} (${Math.round(answer.place.mass * 100)} % of the probability)`]);
    if (answer.radiusKm && hasCircle(answer, i)) rows.push(["Radius", `within ${km(answer.radiusKm[i])}`]);
    if (answer.trackRadiusKm !== null) rows.push(["Whole track", `within ${km(answer.trackRadiusKm)}`]);
    if (answer.witnesses && answer.witnesses[i]) rows.push(["Looks like", answer.witnesses[i]]);
    rows.push(["Score", answer.score[i].toFixed(2)]);
    if (answer.offKm && answer.offKm[i] !== null) rows.push(["From the truth", `${km(answer.offKm[i])} (${answer.truth})`]);
    if (answer.began) rows.push(["Taken", `${moment(answer, answer.t[i])} UTC`]);
    return rows;
  };
  const showAnswer = (answer) => {
    const i = frameAt(answer.t, time);
    const { marks } = answer;
    const keys = answer.areas.map(({ t }) => t).filter((t) => t !== null && t <= time + 1e-6);
    marks.area.setLatLngs(answer.areas.filter(({ t }) => keys.length && t === Math.max(...keys)).map(({ ring }) => [ring]));
    put(marks.here, answer.lat[i], answer.lon[i]);
    put(marks.alone, answer.aloneLat[i], answer.aloneLon[i]);
    if (marks.circle) {
      marks.circle.setLatLngs(hasCircle(answer, i) ? circle(answer.lat[i], answer.lon[i], answer.radiusKm[i]) : []);
    }
    if (marks.true) put(marks.true, answer.trueLat[i], answer.trueLon[i]);
    answer.facts.replaceChildren(...factsAt(answer, i).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    if (answer.player && Math.abs(answer.player.currentTime - time) > (playing ? 0.4 : 0.04)) answer.player.currentTime = time;
    showStill(answer);
  };
  const showTime = () => {
    answers.forEach(showAnswer);
    slider.value = time;
    const of = answers[chosen];
    const i = frameAt(of.t, time);
    const known = of.lat[i] !== null;
    now.textContent = known ? clock(time) : `${clock(time)}: ${UNKNOWN}`;
    slider.setAttribute("aria-valuetext", `${clock(time)}: ${of.name} ${known ? `near ${of.places[of.near[i]]}` : UNKNOWN}`);
  };
  const step = (stamp) => {
    if (!playing) return;
    // A video that plays leads, however slowly; without one the clock does.
    const lead = answers.map((answer) => answer.player).find((player) => player && !player.paused && player.readyState > 2);
    time = Math.min(longest, lead ? lead.currentTime : time + ((stamp - playing.stamp) / 1000) * playing.speed);
    playing.stamp = stamp;
    showTime();
    time >= longest ? pause() : requestAnimationFrame(step);
  };
  const start = () => {
    if (time >= longest) time = 0;
    const players = answers.filter((answer) => answer.player);
    // Pictures need no second for each second: what has no video is over in a minute.
    playing = { stamp: performance.now(), speed: players.length ? 1 : Math.max(1, longest / 60) };
    for (const { player } of players) player.play().catch(() => {}); // ended, or replaced meanwhile
    play.textContent = "Pause";
    requestAnimationFrame(step);
  };
  const pause = () => {
    playing = null;
    for (const { player } of answers) if (player) player.pause();
    play.textContent = "Play";
    showTime();
  };

  // Radius over time, or score where no radius is known; broken where nothing is.
  const drawStrip = (answer) => {
    const values = answer.radiusKm ?? answer.score;
    const top = Math.max(...values.filter((value) => value !== null), 1e-9);
    const every = Math.ceil(values.length / MOST_CORNERS);
    const kept = [...values.keys()].filter((i) => i % every === 0);
    const height = (value) => value === null ? null : (28 - (26 * value) / top).toFixed(1);
    const across = kept.map((i) => ((answer.t[i] / (longest || 1)) * 1000).toFixed(1));
    const lines = stretches(kept.map((i) => height(values[i])), across);
    const drawn = lines.map((line) => `M${line.map(([y, x]) => `${x} ${y}`).join("L")}h1`).join("");
    const label = answer.radiusKm ? `Radius, at most ${km(top)}` : `Score, at most ${top.toFixed(2)}`;
    strip.innerHTML = `<svg viewBox="0 0 1000 30" preserveAspectRatio="none" aria-hidden="true"><path d="${drawn}"/></svg>`;
    strip.prepend(make("span", {}, label));
  };

  const lookAt = (answer) => {
    map.invalidateSize({ animate: false });
    map.options.crs = earthAt(answer.middleLat);
    // Around a mere point nearby names are to be seen.
    const maxZoom = String(answer.view[0]) === String(answer.view[1]) ? 13 : 18;
    map.fitBounds(answer.view, { animate: false, reset: true, padding: [24, 24], maxZoom });
  };
  const markChosen = () => answers.forEach((each, k) => each.card.setAttribute("aria-current", String(answers.length > 1 && k === chosen)));
  const chooseAnswer = (k) => {
    chosen = k;
    markChosen();
    lookAt(answers[k]);
    drawStrip(answers[k]);
    showTime();
  };

  const few = answers.reduce((sum, answer) => sum + answer.t.length, 0) <= MOST_DOTS;
  // Name of a layer, its label, whether there is anything of it, its key; lowest first.
  const SWITCHES = [
    ["borders", "Coasts and borders", true], ["areas", "Credible areas", answers.some((each) => each.areas.length), "ring", colours.areas],
    ["radius", "Radius", answers.some((each) => each.radiusKm), "ring", colourOf(0)],
    ["alone", "Frame by frame, undecoded", true, "dots", colours.alone],
    ["true", "True track", answers.some((each) => each.trueLat), "", colours.true],
    ["tracks", "Predicted track", true, "", colourOf(0)], ["names", "Names of places", true],
  ].filter(([, , any]) => any);
  const boxes = {};
  const addSwitches = () => {
    for (const [name, text, , shape, colour] of SWITCHES) {
      const box = make("input", { type: "checkbox" });
      box.checked = few || name !== "alone";
      box.addEventListener("change", showLayers);
      boxes[name] = box;
      const key = colour ? [make("span", { class: `key ${shape}`, style: shape === "dots" ? `background:${colour}` : `border-color:${colour}` })] : [];
      document.getElementById("layers").append(make("label", {}, box, ...key, text));
    }
  };
  // All anew, so that what is switched on again lies where it lay.
  const showLayers = () => {
    for (const name of Object.keys(boxes)) layer(name).remove();
    for (const [name, box] of Object.entries(boxes)) if (box.checked) layer(name).addTo(map);
    thinNames();
  };

  document.getElementById("recordings").append(...answers.map(card));
  addSwitches();
  drawStrip(answers[0]);
  lookAt(answers[0]);
  drawGround();
  answers.forEach(drawAnswer);
  drawNames();
  showLayers();
  slider.max = longest;
  slider.disabled = play.disabled = longest === 0;
  slider.step = "any";
  const goTo = (t) => {
    if (playing) pause();
    time = t;
    showTime();
  };
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  // Arrows go from frame to frame.
  slider.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const { t } = answers[chosen];
    goTo(t[Math.max(0, Math.min(t.length - 1, frameAt(t, time) + by))]);
  });
  play.addEventListener("click", () => (playing ? pause() : start()));
  chosen = 0;
  markChosen();
  showTime();
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
