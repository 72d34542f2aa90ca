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
}
