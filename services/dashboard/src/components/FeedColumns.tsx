/** The names of the list's columns, for eyes: each card says them to screen readers itself. */
export function FeedColumns() {
  return (
    <div className="columns" aria-hidden="true">
      <span>Action</span>
      <span>Symbol</span>
      <span className="right">Entry</span>
      <span className="right only-wide">Target</span>
      <span className="right only-wide">Stop</span>
      <span className="confidence-name">
        <span className="only-wide">Confidence</span>
        <span className="only-narrow">Conf.</span>
      </span>
      <span className="right">Age</span>
    </div>
  );
}
