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

// ---- time to place

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

// ---- one picture

class Chart {
  constructor(panel, peers, section) {
    this.panel = panel;
    this.it = panel.picture;
    this.peers = peers;
    this.section = section;
    this.box = el(section, 'div', {class: 'chart'});
    this.gutter = el(this.box, 'div', {class: 'gutter'});
    this.scroll = el(this.box, 'div', {class: 'scroll', tabindex: 0, role: 'group',
      'aria-label': 'timeline: arrow keys step through the events, Enter pins one, plus and minus zoom'});
    this.picked = -1;
    this.listen();
    this.table(section);
  }

  shown(key) {
    return !view.key || (key !== null && key !== undefined
      && this.it.keys[key].toLowerCase().includes(view.key));
  }

  draw() {
    const room = Math.max(600, this.scroll.clientWidth || this.section.clientWidth - 110);
    const moments = new Set(this.it.events.map(event => event.at)).size;
    const scale = scaleOf(this.peers, view.even);
    const width = Math.max(room, view.even ? moments * 9 : 0) * view.zoom;
    // The last landing has its label beside it.
    this.x = moment => PAD + scale.share(moment) * (width - 2 * PAD - Math.min(90, room / 10));
    this.width = width;
    this.boxes = [];
    this.layOut();
    this.scroll.replaceChildren();
    this.gutter.replaceChildren();
    this.svg = el(this.scroll, 'svg', {width, height: this.height, role: 'img',
      'aria-label': `${this.it.nodes.length} processes, ${this.it.calls.length} calls`});
    this.side = el(this.gutter, 'svg', {width: 104, height: this.height});
    this.lanes();
    this.axis(scale);
    this.faults();
    this.messages();
    this.leases();
    this.calls();
    this.dots();
    this.marks();
    this.labels();
  }

  // Calls that do not overlap share a row.
  layOut() {
    const flags = this.it.broken.length + (this.panel.differs === null ? 0 : 1);
    this.flags = Math.min(4, flags);
    let y = AXIS + 5 + this.flags * 19;
    this.storeTop = y;
    this.storeRows = new Map();
    this.it.keys.forEach((name, key) => {
      const used = this.it.leases.some(lease => lease.key === key) || this.it.writes.some(it => it.key === key)
        || this.it.calls.some(call => call.key === key);
      if (used && this.shown(key)) { this.storeRows.set(key, y); y += STORE; }
    });
    const troubled = this.it.faults.some(fault => fault.node === 0);
    this.storeFaults = y;
    if (troubled) y += STRIP;
    this.storeDots = y + STRIP / 2;
    y += STRIP;
    this.storeEnd = y;
    this.callRow = new Map();
    this.laneOf = new Map();
    for (const node of this.it.nodes) {
      const lane = {top: y, faults: y};
      if (this.it.faults.some(fault => fault.node === node.node)) y += STRIP;
      const rows = [];
      this.it.calls.forEach((call, index) => {
        if (call.node !== node.node || !this.shown(call.key)) return;
        const from = this.x(call.from);
        const until = Math.max(this.x(call.until) + 12 + wide(call.label), from + wide(this.name(call)));
        let row = rows.findIndex(end => end + 10 < from);
        if (row < 0) row = rows.push(0) - 1;
        rows[row] = until;
        this.callRow.set(index, y + row * CALL);
      });
      y += rows.length ? rows.length * CALL : 9;
      lane.dots = y + STRIP / 2 - 3;
      y += STRIP;
      lane.end = y;
      this.laneOf.set(node.node, lane);
    }
    this.height = y + 2;
  }

  name(call) {
    const key = this.storeRows.size > 1 || view.key ? ` · ${short(this.it.keys[call.key], 16)}` : '';
    return `call ${call.passenger}${key}`;
  }

  lanes() {
    const band = (top, end, title, text, even) => {
      for (const [svg, width] of [[this.svg, this.width], [this.side, 104]]) {
        el(svg, 'rect', {class: svg === this.svg ? `lane ${even ? 'even' : ''}` : `side lane ${even ? 'even' : ''}`,
          x: 0, y: top, width, height: end - top});
        el(svg, 'line', {class: 'edge', x1: 0, x2: width, y1: top, y2: top});
      }
      el(this.side, 'text', {class: 'name', x: 10, y: top + Math.min(18, (end - top) / 2 + 5)}, title);
      if (text && end - top > 40) el(this.side, 'text', {class: 'muted', x: 10, y: top + 33}, text);
    };
    band(this.storeTop, this.storeEnd, 'store', '', true);
    for (const [key, y] of this.storeRows) {
      el(this.side, 'text', {class: 'muted', x: 10, y: y + 33}, `lock ${short(this.it.keys[key], 11)}`);
    }
    this.it.nodes.forEach((node, index) => {
      const lane = this.laneOf.get(node.node);
      const count = this.it.calls.filter(call => call.node === node.node).length;
      band(lane.top, lane.end, short(node.name, 13), `${count} call${count === 1 ? '' : 's'}`, index % 2 === 1);
      const gone = (from, until) => el(this.svg, 'rect', {class: 'absent', x: from, y: lane.top,
        width: Math.max(0, until - from), height: lane.end - lane.top});
      if (node.up > 0) gone(0, this.x(node.up));
      if (node.down !== null) gone(this.x(node.down), this.width);
    });
  }

  axis(scale) {
    const written = [];
    let text = '';
    for (const moment of ticks(scale, this.x, this.it.end, view.even)) {
      const x = this.x(moment);
      text = time(moment) === text ? time(moment, 6) : time(moment);
      el(this.svg, 'line', {class: 'grid', x1: x, x2: x, y1: AXIS, y2: this.height});
      el(this.svg, 'text', {class: 'time', x: x - 2, y: 15}, text);
      written.push([x, x + wide(text, 10.5)]);
    }
    // Where a pause is shorter than it was, that is said.
    for (const [from, until] of scale.cut) {
      const end = this.x(until) - 6, text = `${time(until - from)} pass`;
      const before = written.filter(([left]) => left < end).map(([, right]) => right);
      const begin = Math.max(this.x(from), ...before) + 6, room = end - begin;
      if (wide(text, 10.5) + 6 > room) continue;
      el(this.svg, 'rect', {class: 'quiet', x: begin, y: 4, width: room, height: 15, rx: 4});
      el(this.svg, 'text', {class: 'time', x: begin + room / 2, y: 15, 'text-anchor': 'middle'}, text);
    }
    el(this.side, 'text', {class: 'time', x: 10, y: 15}, view.even ? 'time, stretched' : 'time');
  }

  faults() {
    const ends = new Map();
    this.it.faults.forEach(fault => {
      const lane = fault.node === 0 ? {top: this.storeTop, end: this.storeEnd, faults: this.storeFaults}
        : this.laneOf.get(fault.node);
      if (!lane) return;
      const x = this.x(fault.from);
      if (fault.lasts) {
        el(this.svg, 'rect', {class: 'fault-band', x, y: lane.top, width: Math.max(3, this.x(fault.until) - x),
          height: lane.end - lane.top, 'data-event': fault.event});
        el(this.svg, 'line', {class: 'fault-edge', x1: x, x2: x, y1: lane.top, y2: lane.end});
      }
      const y = lane.faults + 5;
      el(this.svg, 'path', {class: 'fault-mark', d: `M${x - 4} ${y - 3}h8l-4 8z`, 'data-event': fault.event});
      const id = lane.top;
      if ((ends.get(id) ?? -1e9) < x) {
        el(this.svg, 'text', {class: 'fault-label', x: x + 7, y: y + 5}, fault.name);
        ends.set(id, x + 12 + wide(fault.name));
        this.boxes.push([x, y - 4, x + 10 + wide(fault.name), y + 8]);
      }
    });
  }

  leases() {
    const holders = new Map(this.it.nodes.map(node => [node.node, node.name]));
    for (const lease of this.it.leases) {
      const y = this.storeRows.get(lease.key);
      if (y === undefined) continue;
      const from = this.x(lease.from), width = Math.max(4, this.x(lease.until) - from);
      el(this.svg, 'rect', {class: `lease ${['published', 'released', 'held'].includes(lease.how) ? '' : 'over'}`,
        x: from, y: y + 5, width, height: 18, rx: 3, 'data-event': lease.event});
      const texts = [`token ${lease.token} · ${short(holders.get(lease.holder) || '', 10)} · ${lease.how}`,
        `token ${lease.token} · ${short(holders.get(lease.holder) || '', 10)}`, `token ${lease.token}`,
        `${lease.token}`];
      const text = texts.find(text => wide(text) + 8 < width);
      if (text) el(this.svg, 'text', {class: 'on-lease', x: from + 5, y: y + 18}, text);
      this.boxes.push([from, y + 5, from + width, y + 23]);
    }
    let last = new Map();
    for (const write of this.it.writes) {
      const y = this.storeRows.get(write.key);
      if (y === undefined) continue;
      const x = this.x(write.at);
      if (write.forget) {
        el(this.svg, 'path', {class: 'write forget', d: `M${x - 4} ${y + 29}l8 8m0 -8l-8 8`, 'data-event': write.event});
      } else {
        el(this.svg, 'path', {class: 'write', d: `M${x} ${y + 27}l5 6l-5 6l-5 -6z`, 'data-event': write.event});
      }
      const text = write.forget ? 'forgotten' : `r${write.revision}`;
      if ((last.get(write.key) ?? -1e9) < x) {
        el(this.svg, 'text', {class: 'halo', x: x + 8, y: y + 37}, text);
        this.boxes.push([x - 5, y + 27, x + 10 + wide(text), y + 39]);
        last.set(write.key, x + 10 + wide(text));
      }
    }
  }

  calls() {
    this.it.calls.forEach((call, index) => {
      const y = this.callRow.get(index);
      if (y === undefined) return;
      const from = this.x(call.from), until = Math.max(from + 3, this.x(call.until));
      el(this.svg, 'text', {class: 'halo', x: from, y: y + 12}, this.name(call));
      this.boxes.push([from, y + 2, from + wide(this.name(call)), y + 14]);
      el(this.svg, 'rect', {class: 'phase', x: from, y: y + 17, width: until - from, height: 14,
        'data-event': call.began});
      this.phases(call, y);
      el(this.svg, 'rect', {class: 'callbox', x: from, y: y + 17, width: until - from, height: 14});
      this.boxes.push([from, y + 17, until, y + 31]);
    });
    for (const fill of this.it.fills) {
      const index = this.it.calls.findIndex(call => call.node === fill.node && call.passenger === fill.passenger);
      const y = this.callRow.get(index);
      if (y === undefined) continue;
      const x = this.x(fill.from), width = Math.max(5, this.x(fill.until) - x);
      el(this.svg, 'rect', {class: `fill ${fill.result}`, x, y: y + 19, width, height: 10, rx: 2,
        'data-event': fill.event});
    }
    this.it.calls.forEach((call, index) => {
      const y = this.callRow.get(index);
      if (y === undefined) return;
      const x = Math.max(this.x(call.from) + 3, this.x(call.until));
      el(this.svg, 'circle', {class: `landing ${call.kind}`, cx: x, cy: y + 24, r: 6,
        'data-event': call.ended ?? call.began});
      el(this.svg, 'text', {class: 'halo', x: x + 9, y: y + 28}, call.label);
      this.boxes.push([x - 6, y + 17, x + 10 + wide(call.label), y + 32]);
    });
  }

  phases(call, y) {
    const all = this.it.phases.filter(it => it.node === call.node && it.key === call.key);
    all.forEach((phase, index) => {
      const from = Math.max(phase.at, call.from);
      const next = all[index + 1];
      const until = Math.min(next ? next.at : this.it.end, call.until);
      if (until <= from || !PHASES[phase.phase]) return;
      const x = this.x(from), width = this.x(until) - x;
      const event = this.it.events.findIndex(it => it.at === phase.at && it.node === call.node && it.kind === 'told'
        && it.after.includes(phase.phase));
      el(this.svg, 'rect', {class: `phase ${PHASES[phase.phase]}`, x, y: y + 17, width, height: 14,
        'data-event': event < 0 ? call.began : event});
      const filled = this.it.fills.some(fill => fill.node === call.node && fill.passenger === call.passenger
        && fill.from < until && fill.until >= from);
      if (wide(phase.phase, 10) + 8 < width && !filled) {
        el(this.svg, 'text', {class: 'muted', x: x + 4, y: y + 28}, phase.phase);
      }
    });
  }

  // Each event is a dot on the last line of its lane; those of one moment stand side by side.
  dots() {
    const last = new Map();
    this.places = this.it.events.map((event, index) => {
      const lane = event.node === 0 ? {dots: this.storeDots} : this.laneOf.get(event.node);
      if (!lane || (event.key !== null && !this.shown(event.key))) return null;
      const x = Math.max(this.x(event.at), (last.get(event.node) ?? -1e9) + 5);
      last.set(event.node, x);
      const dot = el(this.svg, 'circle', {class: `event is-${event.kind}`, cx: x, cy: lane.dots, r: 2.3,
        'data-event': index});
      this.boxes.push([x - 2, lane.dots - 3, x + 2, lane.dots + 3]);
      return {x, y: lane.dots, dot};
    });
  }

  // Where a process's end of a message lies: at the call that fills, else at the first that is open.
  rowOf(node, key, moment) {
    const lane = this.laneOf.get(node);
    const calls = this.it.calls.map((call, index) => ({call, index}))
      .filter(({call, index}) => call.node === node && call.key === key && call.from <= moment && this.callRow.has(index));
    const open = calls.filter(({call}) => call.until >= moment);
    const fills = ({call}) => this.it.fills.some(fill => fill.node === node && fill.passenger === call.passenger
      && fill.from <= moment);
    const found = open.findLast(fills) || open[0] || calls[calls.length - 1];
    return found ? this.callRow.get(found.index) + 24 : lane ? lane.dots : null;
  }

  messages() {
    for (const it of this.it.messages) {
      const store = this.storeRows.get(it.key);
      const up = it.kind === 'request';
      const node = this.rowOf(it.node, it.key, up ? it.sent : it.came ?? it.sent);
      if (store === undefined || node === null) continue;
      const top = it.kind === 'push' ? store + 40 : store + 24;
      const edge = node - 8;
      const lost = it.came === null;
      const x1 = this.x(it.sent), reach = this.x(it.came ?? it.sent) + (lost ? 26 : 0);
      const [y1, y2] = up ? [edge, top] : [top, edge];
      const x2 = reach, y3 = lost ? y1 + (y2 - y1) * 0.5 : y2;
      const kind = `${it.kind}${lost ? ' lost' : ''}${it.odd && !lost ? ' odd' : ''}`;
      el(this.svg, 'path', {class: `message ${kind}`, d: `M${x1} ${y1}L${x2} ${y3}`});
      el(this.svg, 'path', {class: 'hit', d: `M${x1} ${y1}L${x2} ${y3}`, 'data-event': it.event});
      if (lost) {
        el(this.svg, 'path', {class: 'cross', d: `M${x2 - 4} ${y3 - 4}l8 8m0 -8l-8 8`});
      } else {
        const turn = Math.atan2(y3 - y1, x2 - x1) * 180 / Math.PI;
        el(this.svg, 'path', {class: `head ${it.kind}`, d: 'M0 0l-7 -3v6z',
          transform: `translate(${x2} ${y3}) rotate(${turn})`});
      }
      (this.wanted ||= []).push({text: (lost ? `${it.label} lost` : it.label), x1, y1, x2, y2: y3,
        kind: `${it.kind}${lost ? ' lost' : ''}`, lost});
    }
  }

  // A message is labelled where nothing else is written.
  labels() {
    const crowded = this.it.messages.length > 36 * view.zoom;
    const wanted = (this.wanted || []).filter(it => it.lost || !crowded).sort((a, b) => b.lost - a.lost);
    this.wanted = [];
    this.svg.classList.toggle('crowded', crowded);
    for (const it of wanted) {
      const length = wide(it.text, 10);
      const lane = [0.5, 0.38, 0.62, 0.26, 0.74, 0.16, 0.84];
      for (const part of lane) {
        const x = it.x1 + (it.x2 - it.x1) * part + 4, y = it.y1 + (it.y2 - it.y1) * part;
        const box = [x - 1, y - 7, x + length + 1, y + 5];
        if (box[2] > this.width || this.boxes.some(other => box[0] < other[2] && box[2] > other[0]
          && box[1] < other[3] && box[3] > other[1])) continue;
        this.boxes.push(box);
        el(this.svg, 'text', {class: `halo message-label ${it.kind}`, x, y: y + 3}, it.text);
        break;
      }
    }
  }

  marks() {
    const ends = [];
    const flag = (x, text, size) => {
      const length = wide(text, size) * 1.08 + 16;
      const left = Math.max(2, Math.min(x, this.width - length - 4));
      let row = ends.findIndex(spans => spans.every(([a, b]) => left > b || left + length < a));
      if (row < 0) row = ends.push([]) - 1;
      ends[row].push([left, left + length + 6]);
      return row < this.flags ? {left, length, y: AXIS + row * 19} : null;
    };
    this.it.broken.forEach((broken, index) => {
      const x = this.x(broken.at);
      const place = flag(x, broken.invariant, 12);
      const group = el(this.svg, 'g', {class: 'violation', 'data-event': broken.event});
      el(group, 'line', {x1: x, x2: x, y1: place ? place.y + 18 : this.storeTop, y2: this.height});
      if (place) {
        el(group, 'rect', {class: 'flag', x: place.left, y: place.y + 1, width: place.length, height: 18, rx: 3});
        el(group, 'text', {x: place.left + 8, y: place.y + 14}, broken.invariant);
      }
      const atStore = this.it.events[broken.event].node === 0;
      const y = atStore ? this.storeRows.get(broken.key) + 33 : this.rowOf(broken.node, broken.key, broken.at);
      if (y) el(group, 'circle', {class: 'ring', cx: x, cy: y, r: 12});
      if (index === 0) group.setAttribute('id', `violation-${this.panel.role}`);
    });
    if (this.panel.differs !== null) {
      const x = this.x(this.panel.differs);
      const place = flag(x, 'first difference', 11);
      const group = el(this.svg, 'g', {class: 'differs'});
      el(group, 'line', {x1: x, x2: x, y1: place ? place.y + 18 : this.storeTop, y2: this.height});
      if (place) el(group, 'text', {x: place.left + 3, y: place.y + 14}, 'first difference');
    }
  }

  // ---- looking closer

  listen() {
    const found = target => target.closest && target.closest('[data-event]');
    this.scroll.addEventListener('pointermove', move => {
      if (this.drag) {
        this.scroll.scrollLeft = this.drag.left - (move.clientX - this.drag.x);
        return;
      }
      const shape = found(move.target);
      if (shape) tip.show(this, Number(shape.dataset.event), move.clientX, move.clientY);
      else tip.hide();
    });
    this.scroll.addEventListener('pointerleave', () => { this.drag = null; tip.hide(); });
    this.scroll.addEventListener('pointerdown', down => {
      if (!found(down.target)) this.drag = {x: down.clientX, left: this.scroll.scrollLeft};
    });
    this.scroll.addEventListener('pointerup', () => { this.drag = null; });
    this.scroll.addEventListener('click', click => {
      const shape = found(click.target);
      if (shape) this.pick(Number(shape.dataset.event), click.clientX, click.clientY, true);
      else tip.unpin();
    });
    this.scroll.addEventListener('wheel', wheel => {
      if (!wheel.ctrlKey && !wheel.altKey && !wheel.metaKey) return;
      wheel.preventDefault();
      zoom(wheel.deltaY < 0 ? 1.25 : 0.8, this, wheel.clientX - this.scroll.getBoundingClientRect().left);
    }, {passive: false});
    this.scroll.addEventListener('keydown', key => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[key.key];
      if (step) this.step(step);
      else if (key.key === '+' || key.key === '=') zoom(1.25, this);
      else if (key.key === '-') zoom(0.8, this);
      else if (key.key === '0') zoom(0, this);
      else if (key.key === 'Enter' && this.picked >= 0) this.step(0, true);
      else if (key.key === 'Escape') tip.unpin();
      else return;
      key.preventDefault();
    });
  }

  step(by, pin) {
    let next = this.picked + by;
    while (this.places[next] === null) next += by;
    if (next < 0 || next >= this.places.length) return;
    const place = this.places[next];
    this.scroll.scrollLeft = Math.max(0, Math.min(place.x - 200, Math.max(place.x - this.scroll.clientWidth + 200,
      this.scroll.scrollLeft)));
    const corner = this.svg.getBoundingClientRect();
    this.pick(next, corner.left + place.x, corner.top + place.y, pin);
  }

  pick(index, x, y, pin) {
    const before = this.places[this.picked];
    if (before) before.dot.classList.remove('picked');
    this.picked = index;
    const place = this.places[index];
    if (place) place.dot.classList.add('picked');
    tip.unpin();
    tip.show(this, index, x, y);
    if (pin) tip.pin(this.it.events[index].raw);
  }

  place(node) {
    if (node === 0) return 'store';
    const found = this.it.nodes.find(other => other.node === node);
    return found ? found.name : `node ${node}`;
  }

  // The events as text, for whoever does not look at pictures.
  table(section) {
    const details = el(section, 'details');
    el(details, 'summary', {}, `the ${this.it.events.length} events as text`);
    details.addEventListener('toggle', () => {
      if (!details.open || details.querySelector('table')) return;
      const filter = el(details, 'input', {type: 'search', placeholder: 'filter', 'aria-label': 'filter the events'});
      const table = el(details, 'table');
      const head = el(el(table, 'thead'), 'tr');
      for (const name of ['when', 'where', 'key', 'what', 'state before', 'state after']) el(head, 'th', {}, name);
      const body = el(table, 'tbody');
      const broken = new Set(this.it.broken.map(it => it.event));
      this.it.events.forEach((event, index) => {
        const row = el(body, 'tr', broken.has(index) ? {class: 'bad'} : {});
        const key = event.key === null ? '' : this.it.keys[event.key];
        const after = event.after === event.before ? '' : event.after;
        for (const text of [time(event.at), this.place(event.node), key, event.words, event.before, after]) {
          el(row, 'td', {}, text);
        }
      });
      filter.addEventListener('input', () => {
        for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
      });
    });
  }
}

const tip = {
  box: document.getElementById('tip'),
  pinned: false,
  show(chart, index, x, y) {
    if (this.pinned) return;
    const event = chart.it.events[index];
    this.box.replaceChildren();
    const key = event.key === null ? '' : ` · key ${chart.it.keys[event.key]}`;
    el(this.box, 'div', {class: 'when'}, `${time(event.at)} · ${chart.place(event.node)}${key}`);
    el(this.box, 'p', {}, event.words);
    for (const broken of chart.it.broken.filter(it => it.event === index)) {
      el(this.box, 'p', {class: 'bad'}, `${broken.invariant}: ${broken.story}`);
    }
    if (event.before || event.after) {
      const list = el(this.box, 'dl');
      const same = event.before === event.after;
      el(list, 'dt', {}, same ? 'state' : 'before');
      el(list, 'dd', {}, event.before);
      if (!same) {
        el(list, 'dt', {}, 'after');
        el(list, 'dd', {}, event.after);
      }
    }
    this.box.hidden = false;
    this.set(x, y);
  },
  set(x, y) {
    const {width, height} = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    this.box.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  },
  pin(raw) {
    el(this.box, 'pre', {}, raw);
    this.box.classList.add('pinned');
    this.pinned = true;
    const at = this.box.getBoundingClientRect();
    this.set(at.left - 14, Math.min(at.top - 18, innerHeight - at.height - 30));
  },
  unpin() {
    this.pinned = false;
    this.box.classList.remove('pinned');
    this.hide();
  },
  hide() {
    if (!this.pinned) this.box.hidden = true;
  },
};

// ---- the page

const charts = [];

function redraw() {
  tip.unpin();
  for (const chart of charts) if (!chart.section.hidden) chart.draw();
}

function zoom(by, chart, at) {
  const before = view.zoom;
  view.zoom = by ? Math.min(64, Math.max(1, before * by)) : 1;
  const point = at ?? (chart ? chart.scroll.clientWidth / 2 : 0);
  const kept = charts.map(it => it.scroll.scrollLeft);
  redraw();
  charts.forEach((it, index) => { it.scroll.scrollLeft = (kept[index] + point) * view.zoom / before - point; });
}

function head() {
  const box = document.getElementById('head');
  const title = el(box, 'h1');
  if (report.invariant) {
    el(title, 'span', {class: 'bad'}, report.invariant);
    title.append(' is violated');
  } else {
    el(title, 'span', {class: 'good'}, 'All promises kept');
  }
  const broken = (report.panels.find(panel => panel.role === 'whole') || report.panels[0]).picture.broken[0];
  const moment = broken ? `, at ${time(broken.at)} of the whole run` : '';
  const line = el(box, 'p', {class: 'subject'}, `${report.subject}${moment} `);
  el(line, 'code', {class: 'command'}, report.command);
  if (!report.cause.length) return;
  const cause = el(box, 'div', {class: 'cause'});
  const names = ['The promise. ', 'What happened. ', 'What made the difference. '];
  report.cause.forEach((text, index) => {
    const p = el(cause, 'p');
    el(p, 'b', {}, names[index] || '');
    p.append(text);
  });
}

function tools() {
  const box = document.getElementById('tools');
  const group = () => el(box, 'span', {class: 'group'});
  const button = (parent, text, title, act) => {
    const it = el(parent, 'button', {type: 'button', title, 'aria-label': title}, text);
    it.addEventListener('click', () => act(it));
    return it;
  };
  const zooms = group();
  button(zooms, '−', 'zoom out (-)', () => zoom(0.66));
  button(zooms, '+', 'zoom in (+)', () => zoom(1.5));
  button(zooms, 'fit', 'as wide as the window (0)', () => zoom(0));
  const scale = group();
  const set = even => { view.even = even; a.setAttribute('aria-pressed', even); b.setAttribute('aria-pressed', !even); redraw(); };
  const a = button(scale, 'stretched', 'room for every event, pauses shortened', () => set(true));
  const b = button(scale, 'to scale', 'true to time', () => set(false));
  a.setAttribute('aria-pressed', true);
  b.setAttribute('aria-pressed', false);
  const filter = el(group(), 'input', {type: 'search', placeholder: 'only keys with …', 'aria-label': 'show only keys that contain this'});
  filter.addEventListener('input', () => { view.key = filter.value.toLowerCase(); redraw(); });
  el(box, 'span', {class: 'hint'}, 'Ctrl and wheel zoom, drag moves; hover or arrow keys show an event, click or Enter pins it');
  legend(box);
}

function legend(box) {
  const list = el(box, 'div', {class: 'legend'});
  const item = (text, draw) => {
    const it = el(list, 'span');
    draw(el(it, 'svg', {viewBox: '0 0 20 12'}));
    it.append(text);
  };
  const rect = name => svg => el(svg, 'rect', {class: `sample ${name}`, x: 1, y: 1, width: 18, height: 10, rx: 2});
  const dot = name => svg => el(svg, 'circle', {class: `sample ${name}`, cx: 10, cy: 6, r: 5.5});
  const line = name => svg => el(svg, 'path', {class: `sample ${name}`, d: 'M1 6H19'});
  const used = new Set(report.panels.flatMap(panel => panel.picture.calls.map(call => call.kind)));
  item('lease', rect('lease'));
  item('value', svg => el(svg, 'path', {class: 'sample write', d: 'M10 0l6 6l-6 6l-6 -6z'}));
  item('fill', rect('fill'));
  const ends = new Set(report.panels.flatMap(panel => panel.picture.fills.map(fill => fill.result)));
  for (const [end, name] of [['error', 'fill failed'], ['panic', 'fill panicked'], ['dropped', 'fill dropped']]) {
    if (ends.has(end)) item(name, rect(`fill ${end}`));
  }
  item('claiming', rect('phase claiming'));
  item('waiting', rect('phase waiting'));
  item('backing off', rect('phase backing'));
  item('publishing', rect('phase publishing'));
  item('request', line('message'));
  item('answer', line('message answer'));
  item('push', line('message push'));
  item('lost', line('message lost'));
  item('fault', svg => el(svg, 'path', {class: 'sample fault-mark', d: 'M4 1h12l-6 10z'}));
  const names = {computed: 'computed: its own fill', awaited: 'awaited: another’s fill', cached: 'cached: found at the store',
    local: 'local copy', alone: 'computed without a lease', stale: 'stale', failed: 'failed', left: 'left', crashed: 'crashed'};
  for (const [kind, name] of Object.entries(names)) if (used.has(kind)) item(name, dot(`landing ${kind}`));
}

function panels() {
  const main = document.getElementById('panels');
  const failing = report.panels.find(panel => panel.role === 'failing');
  const twins = report.panels.filter(panel => panel.role === 'twin');
  const near = [failing, ...twins].filter(Boolean).map(panel => panel.picture);
  const roles = {failing: 'failing run', twin: 'passing twin', whole: report.panels.length > 1 ? 'the whole run' : 'run'};
  let tabs = null;
  for (const panel of report.panels) {
    const section = el(main, 'section', {class: `panel ${panel.picture.broken.length ? 'broken' : 'clean'}`, 'data-role': panel.role});
    if (panel.role === 'twin' && twins.length > 1) {
      tabs ||= [];
      const bar = el(section, 'div', {class: 'tabs', role: 'group', 'aria-label': 'which decision is removed'});
      el(bar, 'span', {class: 'hint'}, 'Each of these alone makes it pass:');
      twins.forEach(other => {
        const it = el(bar, 'button', {type: 'button', 'aria-pressed': other === panel}, other.title);
        it.addEventListener('click', () => {
          tabs.forEach(({panel: mine, section: box}) => { box.hidden = mine !== other; });
          redraw();
        });
      });
      tabs.push({panel, section});
      section.hidden = tabs.length > 1;
    }
    const title = el(section, 'h2');
    el(title, 'span', {class: 'role'}, roles[panel.role]);
    if (panel.role === 'twin') title.append('the same run ', panel.title);
    else el(title, 'small', {}, panel.title);
    const peers = near.includes(panel.picture) ? near : [panel.picture];
    charts.push(new Chart(panel, peers, section));
  }
}

head();
tools();
panels();
redraw();
let waiting = 0;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
