import { Lock } from "./icons";

/** What a starter is told of premium signals: that there are some. How many is not known here, by design. */
export function LockedTeaser() {
  return (
    <section className="teaser" aria-label="Premium signals">
      <span className="teaser-icon">
        <Lock />
      </span>
      <div>
        <h2>Premium signals are not part of Starter</h2>
        <p>
          Signals with a confidence of 85 or more go to Pro and Elite, at the same instant as these. An upgrade takes
          effect right here, without a reload.
        </p>
      </div>
      <div className="teaser-rows" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
    </section>
  );
}
