// What a chart draws on its canvas beside the line of uPlot: bounds, what is left out of learning, and moments.

/** Of words at moments, in CSS pixels. */
const LABEL = 11;
/** Height of the strip of alerts at the foot of a chart, in CSS pixels. */
const STRIP = 5;
/** A line that climbs more than so many times the width of its chart is dense. */
const CLIMB_MAX = 3;

/** Draws inside the plot alone. */
export function inside(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox);
  ctx.restore();
}

const xOf = (u, at) => u.valToPos(at, 'x', true);
const yOf = (u, v) => Math.round(u.valToPos(v, 'y', true));

function stroke(ctx, colour, dash, points) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.stroke();
}

/** Bounds that stand. Those that are not in force are dotted, without a band between them. */
export function bounds(u, c, { lower, upper, alert_lower, alert_upper }, inForce) {
  inside(u, (ctx, { left, top, width, height }) => {
    if (inForce) {
      const from = upper === null ? top : yOf(u, upper);
      const to = lower === null ? top + height : yOf(u, lower);
      ctx.fillStyle = c.band;
      ctx.fillRect(left, from, width, to - from);
    }
    const lines = [[lower, c.bound, inForce ? [] : [2, 3]], [upper, c.bound, inForce ? [] : [2, 3]]];
    if (inForce) lines.push([alert_lower, c.alert, [5, 4]], [alert_upper, c.alert, [5, 4]]);
    for (const [v, colour, dash] of lines) {
      if (v === null || v === undefined) continue;
      stroke(ctx, colour, dash, [[left, yOf(u, v) + 0.5], [left + width, yOf(u, v) + 0.5]]);
    }
  });
}

/** How far a line goes up and down in all. */
const climb = (line) => line.reduce((sum, [, y], i) => sum + (i > 0 ? Math.abs(y - line[i - 1][1]) : 0), 0);

/** Bounds that change with time, one pair for each sample: each holds up to the next sample. */
export function band(u, c, pairs) {
  inside(u, (ctx, { top, width, height }) => {
    const xs = u.data[0].map((at) => Math.round(xOf(u, at)));
    const end = (i) => xs[Math.min(i + 1, xs.length - 1)];
    const steps = (side, otherwise) => pairs.flatMap((pair, i) => {
      const y = pair[side] === null ? otherwise : yOf(u, pair[side]);
      return [[xs[i], y], [end(i), y]];
    });
    ctx.fillStyle = c.band;
    ctx.beginPath();
    for (const [x, y] of [...steps('upper', top), ...steps('lower', top + height).reverse()]) ctx.lineTo(x, y);
    ctx.fill();
    for (const [side, colour, dash] of [['lower', c.bound, []], ['upper', c.bound, []], ['alert_lower', c.alert, [5, 4]], ['alert_upper', c.alert, [5, 4]]]) {
      if (pairs.some((pair) => pair[side] === null)) continue;
      const line = steps(side, 0).map(([x, y]) => [x, y + 0.5]);
      // Many periods side by side: dashes would drown the value.
      const dense = dash.length > 0 && climb(line) > CLIMB_MAX * width;
      ctx.globalAlpha = dense ? 0.35 : 1;
      stroke(ctx, colour, dense ? [] : dash, line);
    }
  });
}

/** Where a time begins on the canvas, and how wide it is: `least` CSS pixels at least, within the plot also where it has only begun. */
function extent(u, [from, until], least) {
  const { left, width } = u.bbox;
  const end = until === null ? left + width : xOf(u, until);
  const [x, narrow] = [xOf(u, from), least * devicePixelRatio];
  // A chart ends with its newest sample, at which an alert may begin.
  return [x <= left + width ? Math.min(x, left + width - narrow) : x, Math.max(end - x, narrow)];
}

/** Shades times, each `[from, until]`; null: until the end of the chart. */
export function shade(u, colour, stretches) {
  inside(u, (ctx, { top, height }) => {
    ctx.fillStyle = colour;
    for (const stretch of stretches) {
      const [x, wide] = extent(u, stretch, 2);
      ctx.fillRect(x, top, wide, height);
    }
  });
}

/** Alerts as a strip along the foot. */
export function strip(u, colour, alerts) {
  inside(u, (ctx, { top, height }) => {
    ctx.fillStyle = colour;
    const tall = STRIP * devicePixelRatio;
    for (const alert of alerts) {
      const [x, wide] = extent(u, alert, 4);
      ctx.fillRect(x, top + height - tall, wide, tall);
    }
  });
}

/** A moment as an upright line, with a word at its top where it has one; `row`: so many lines lower. */
export function moment(u, colour, at, { dash = [], word = '', row = 0 } = {}) {
  inside(u, (ctx, { left, top, width, height }) => {
    const x = Math.round(xOf(u, at)) + 0.5;
    stroke(ctx, colour, dash, [[x, top], [x, top + height]]);
    if (!word) return;
    ctx.font = `${LABEL * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = colour;
    ctx.textBaseline = 'top';
    const gap = 4 * devicePixelRatio;
    const right = x + gap + ctx.measureText(word).width > left + width;
    ctx.textAlign = right ? 'right' : 'left';
    ctx.fillText(word, right ? x - gap : x + gap, top + (2 + 14 * row) * devicePixelRatio);
  });
}
