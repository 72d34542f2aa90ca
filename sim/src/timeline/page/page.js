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
  const whole = report.panels.find(panel => panel.role === 'whole');
  const broken = whole && whole.picture.broken[0];
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
    charts.push(new LiveChart(panel, peers, section));
  }
}

head();
tools();
panels();
redraw();
let waiting = 0;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
