/** A curve without axes; its last value stands beside it in words. */
export function Spark({ values }: { values: readonly number[] }) {
  const top = Math.max(1, ...values);
  const points = values.map((value, index) => `${index * 4},${40 - (value / top) * 36}`).join(" ");
  return (
    <svg className="spark" viewBox="0 0 236 44" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <polyline
        points={points}
        fill="none"
        stroke="currentColor"
        strokeWidth="2"
        strokeLinejoin="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
