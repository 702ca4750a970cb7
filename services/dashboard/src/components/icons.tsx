/** The few icons, drawn with the text's colour. All are decoration: what they mean is said in words beside them. */

import type { ReactNode } from "react";

function Icon({ children, fill = "none" }: { children: ReactNode; fill?: string }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" fill={fill} aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const line = { stroke: "currentColor", strokeWidth: 1.6, strokeLinecap: "round", strokeLinejoin: "round" } as const;

export const Up = () => (
  <Icon fill="currentColor">
    <path d="M8 3.2 13.4 12H2.6z" />
  </Icon>
);
export const Down = () => (
  <Icon fill="currentColor">
    <path d="M8 12.8 2.6 4h10.8z" />
  </Icon>
);
export const Live = () => (
  <Icon>
    <circle cx="8" cy="8" r="2" fill="currentColor" />
    <path
      {...line}
      d="M4.5 11.5a5 5 0 0 1 0-7M11.5 4.5a5 5 0 0 1 0 7M2.6 13.4a7.6 7.6 0 0 1 0-10.8M13.4 2.6a7.6 7.6 0 0 1 0 10.8"
    />
  </Icon>
);
export const Waiting = () => (
  <Icon>
    <path {...line} className="spin" d="M8 2.2A5.8 5.8 0 1 1 2.2 8" />
  </Icon>
);
export const Offline = () => (
  <Icon>
    <path
      {...line}
      d="M2 2l12 12M4.5 11.5a5 5 0 0 1-.6-6M11.5 4.5a5 5 0 0 1 .6 6M2.6 13.4a7.6 7.6 0 0 1-.5-10M13.4 2.6a7.6 7.6 0 0 1 .5 10"
    />
  </Icon>
);
export const Late = () => (
  <Icon>
    <path {...line} d="M8 2.2 14.2 13H1.8z" />
    <path {...line} d="M8 6.4v3M8 11.3v.1" />
  </Icon>
);
export const Star = () => (
  <Icon fill="currentColor">
    <path d="M8 1.8l1.9 4 4.3.6-3.1 3 .8 4.3L8 11.6l-3.9 2.1.8-4.3-3.1-3 4.3-.6z" />
  </Icon>
);
export const Lock = () => (
  <Icon>
    <rect {...line} x="3.2" y="7" width="9.6" height="6.8" rx="1.6" />
    <path {...line} d="M5.4 7V5a2.6 2.6 0 0 1 5.2 0v2" />
  </Icon>
);
export const Chevron = () => (
  <Icon>
    <path {...line} d="M4 6l4 4 4-4" />
  </Icon>
);
export const Shield = ({ state }: { state: "empty" | "good" | "bad" }) => (
  <Icon>
    <path {...line} d="M8 1.8l5 1.8v4c0 3.2-2.1 5.5-5 6.6-2.9-1.1-5-3.4-5-6.6v-4z" />
    {state === "good" && <path {...line} d="M5.6 7.9l1.7 1.8 3.2-3.5" />}
    {state === "bad" && <path {...line} d="M6.2 6.2l3.6 3.6M9.8 6.2 6.2 9.8" />}
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path {...line} d="M4 4l8 8M12 4l-8 8" />
  </Icon>
);
export const Tick = () => (
  <Icon>
    <path {...line} d="M3 8.5l3.2 3.2L13 4.6" />
  </Icon>
);
export const Sun = () => (
  <Icon>
    <circle {...line} cx="8" cy="8" r="2.8" />
    <path {...line} d="M8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" />
  </Icon>
);
export const Moon = () => (
  <Icon>
    <path {...line} d="M13.4 9.7A5.8 5.8 0 1 1 6.3 2.6a4.8 4.8 0 0 0 7.1 7.1z" />
  </Icon>
);
export const Search = () => (
  <Icon>
    <circle {...line} cx="7" cy="7" r="4.4" />
    <path {...line} d="M10.4 10.4 14 14" />
  </Icon>
);
export const Gauge = () => (
  <Icon>
    <path {...line} d="M2.2 11.6a6.2 6.2 0 1 1 11.6 0M8 9.2l2.6-3.4" />
  </Icon>
);
