/** What this browser remembers: for a tab, or for good. Where it may remember nothing, nothing breaks. */

export interface Memory {
  get: () => string | null;
  set: (value: string) => void;
  clear: () => void;
}

/** Remembers one text until the tab is closed. */
export function inThisTab(name: string): Memory {
  return memory(() => window.sessionStorage, name);
}

/** Remembers one text in this browser. */
export function inThisBrowser(name: string): Memory {
  return memory(() => window.localStorage, name);
}

/** A browser that is told to block cookies throws already when its storage is named. */
function memory(storage: () => Storage, name: string): Memory {
  const attempt = <Result>(act: (store: Storage) => Result): Result | null => {
    try {
      return act(storage());
    } catch {
      return null;
    }
  };
  return {
    get: () => attempt((store) => store.getItem(name)),
    set: (value) => void attempt((store) => store.setItem(name, value)),
    clear: () => void attempt((store) => store.removeItem(name)),
  };
}
