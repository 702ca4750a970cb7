const WIDTH = 236;
const HEIGHT = 40;

/** A curve without axes, growing towards the left up to so many points; its last value stands beside it in words. */
export function Spark({ values, points }: { values: readonly number[]; points: number }) {
  const top = Math.max(1, ...values);
  const step = WIDTH / (points - 1);
  const first = WIDTH - (values.length - 1) * step;
  const line = values.map((value, index) => `${first + index * step},${HEIGHT - (value / top) * (HEIGHT - 4)}`);
  return (
    <svg
      className="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT + 2}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      <polygon points={[`${first},${HEIGHT}`, ...line, `${WIDTH},${HEIGHT}`].join(" ")} className="spark-area" />
      <polyline points={line.join(" ")} className="spark-line" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
