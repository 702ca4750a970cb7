// @vitest-environment node
import { describe, expect, it } from "vitest";
import { age, confidence, exactPrice, milliseconds, percent, price } from "../src/components/format";

describe("a price", () => {
  it.each([
    [96_410.5, "96,410.50"],
    [96_410.123_456, "96,410.12"],
    [228.4, "228.40"],
    [175, "175.00"],
    [151.237, "151.237"],
    [1.0832, "1.0832"],
    [1.083_21, "1.08321"],
    [5.25, "5.2500"],
    [0.6543, "0.6543"],
    [0.000_012_34, "0.00001234"],
    [1e-12, "0.000000000001"],
  ])("of %f reads %s", (value, text) => expect(price(value)).toBe(text));

  it("stands in the same form as the other prices of its signal", () => {
    expect(price(356.859_6, 336.66)).toBe("356.86");
    expect(price(0.995, 1)).toBe("0.9950");
    expect(price(null, 1)).toBe("–");
  });

  it("is given in full where it is read closely", () => {
    expect(exactPrice(356.859_6)).toBe("356.8596");
    expect(exactPrice(88_755.787_123)).toBe("88,755.787123");
    expect(exactPrice(9.52, 10.85)).toBe("9.52");
  });
});

it("never lets a confidence below 85 look like premium", () => {
  expect([84.99, 85, 92.5, 67, 0, 100, 70.1].map(confidence)).toEqual([
    "84.9",
    "85.0",
    "92.5",
    "67.0",
    "0.0",
    "100.0",
    "70.1",
  ]);
});

it("says how long ago in one unit", () => {
  expect([-3, 0.4, 1, 59.9, 60, 3599, 3600, 86_399, 200_000].map(age)).toEqual([
    "now",
    "now",
    "1 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "23 h",
    "2 d",
  ]);
});

it("writes shares and durations", () => {
  expect([percent(0.06), percent(-0.03)]).toEqual(["+6.0 %", "−3.0 %"]);
  expect([milliseconds(null), milliseconds(3.21), milliseconds(1234)]).toEqual(["–", "3.2 ms", "1,234 ms"]);
});
