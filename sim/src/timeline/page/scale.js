'use strict';
// Draws the report that stands in the page. Text from a trace only ever becomes text nodes.

const report = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
const PHASES = {claiming: 'claiming', waiting: 'waiting', 'backing off': 'backing', filling: 'filling',
  'filling locally': 'filling', publishing: 'publishing'};
// A pause takes no more room than this many usual gaps on a stretched scale.
const LONGEST = 4;
const AXIS = 22, CALL = 42, STRIP = 16, STORE = 48, PAD = 14;

const view = {zoom: 1, even: true, key: ''};

function el(parent, name, attributes, text) {
  const it = parent.namespaceURI === SVG || name === 'svg'
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) it.setAttribute(key, value);
  if (text !== undefined) it.textContent = text;
  parent.appendChild(it);
  return it;
}

function time(nanos, digits = 4) {
  for (const [unit, name] of [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]) {
    if (nanos >= unit) return `${Number((nanos / unit).toPrecision(digits))} ${name}`;
  }
  return '0';
}

const short = (text, most) => text.length > most ? text.slice(0, most - 1) + '…' : text;
// About how wide a text is drawn.
const wide = (text, size = 11) => text.length * size * 0.6;

// ---- from time to place

// A scale gives every moment at which something happens room to be seen, and long pauses little more;
// or it is true to time.
function scaleOf(pictures, even) {
  const moments = new Set([0]);
  // Moments at which only the world heals or the run ends are given little room.
  const busy = new Set();
  for (const it of pictures) {
    for (const event of it.events) {
      moments.add(event.at);
      if (event.kind !== 'world') busy.add(event.at);
    }
    for (const lease of it.leases) moments.add(lease.until);
    for (const fault of it.faults) moments.add(fault.until);
  }
  const at = [...moments].sort((a, b) => a - b);
  const gaps = at.slice(1).map((moment, index) => moment - at[index]);
  const sorted = [...gaps].sort((a, b) => a - b);
  const usual = sorted[sorted.length >> 1] || 1;
  const places = [0];
  const cut = [];
  gaps.forEach((gap, index) => {
    const most = busy.has(at[index + 1]) ? LONGEST : 1;
    const room = Math.log2(1 + gap / usual);
    if (even && room > LONGEST) cut.push([at[index], at[index + 1]]);
    places.push(places[index] + (even ? 0.16 + Math.min(most, room) : gap));
  });
  const all = places[places.length - 1] || 1;
  return {at, places, all, cut, share(moment) {
    let low = 0, high = at.length - 1;
    if (moment <= at[0]) return 0;
    if (moment >= at[high]) return 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (at[middle] <= moment) low = middle; else high = middle;
    }
    const part = (moment - at[low]) / (at[high] - at[low]);
    return (places[low] + part * (places[high] - places[low])) / all;
  }};
}

function ticks(scale, x, end, even) {
  const found = [];
  if (even) {
    let last = -1e9;
    for (const moment of scale.at) {
      if (x(moment) - last >= 84) { found.push(moment); last = x(moment); }
    }
    return found;
  }
  let step = 1;
  while (x(step) - x(0) < 84 && step < end) {
    step *= String(step)[0] === '2' ? 2.5 : 2;
  }
  for (let moment = 0; moment <= end; moment += step) found.push(moment);
  return found;
}
