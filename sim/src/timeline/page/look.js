// ---- looking closer

// A chart that tells more of whatever is pointed at, by mouse or by keys.
class LiveChart extends Chart {
  constructor(panel, peers, section) {
    super(panel, peers, section);
    this.picked = -1;
    this.listen();
    this.table(section);
  }

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
