// What was typed and said stays over a reload, a restart of the server and a click on the logo:
// values of components, kept in this browser tab's own storage; and a URL for each tab.
(() => {
  // Of each path by itself: of a playground behind a proxy, and of a link to a demo.
  const PREFIX = `mistral-playground.kept.${location.pathname.slice(1)}`;
  const DELAY_MS = 300;
  const current = new Map(); // by name, once restored
  const waiting = new Map();
  let timer = 0;

  function flush() {
    clearTimeout(timer);
    timer = 0;
    for (const [name, values] of waiting) {
      try {
        sessionStorage.setItem(PREFIX + name, JSON.stringify(values));
      } catch (error) {
        console.warn(`not kept: ${name}`, error); // its quota is used up
      }
    }
    waiting.clear();
  }

  window.playgroundKeeper = {
    // Called at each change, with some of the values. Before what is kept was restored, a change is
    // only a component's start.
    keep(name, keys, values, unless) {
      const kept = current.get(name);
      if (!kept) return;
      keys.forEach((key, index) => (kept[key] = values[index]));
      waiting.set(name, kept[unless] ? {} : kept);
      timer ||= setTimeout(flush, DELAY_MS);
    },
    restore(name, keys, values) {
      let kept = {};
      try {
        kept = JSON.parse(sessionStorage.getItem(PREFIX + name)) || {};
      } catch {
        sessionStorage.removeItem(PREFIX + name);
      }
      const present = keys.map((key, index) => [key, key in kept ? kept[key] : values[index]]);
      current.set(name, Object.fromEntries(present));
      // What was not kept stays as it is: on a slow machine it was typed since `values` were read.
      return keys.map((key) => (key in kept ? kept[key] : { __type__: "update" }));
    },
  };
  window.addEventListener("pagehide", flush);

  // In the menu of those that do not fit, tabs have no ids.
  const labelOf = (id) =>
    window.gradio_config?.components.find(({ type, props }) => type === "tabitem" && props.id === id)
      ?.props.label;
  function tabOf(hash) {
    const id = hash.slice(1);
    const strip = document.querySelector("#tabs > .tab-wrapper");
    return (
      strip?.querySelector(`[role="tab"][data-tab-id="${CSS.escape(id)}"]`) ??
      [...(strip?.querySelectorAll(".overflow-dropdown button") ?? [])].find(
        (button) => button.textContent.trim() === labelOf(id),
      )
    );
  }
  function showTab() {
    const tab = location.hash && tabOf(location.hash);
    if (tab && tab.getAttribute("aria-selected") !== "true") tab.click();
    return Boolean(tab);
  }
  function recordTab(id) {
    if (!id || `#${id}` === (location.hash || "#chat")) return;
    history.pushState(null, "", id === "chat" ? location.pathname : `#${id}`);
  }
  document.addEventListener("click", (event) => {
    recordTab(event.target.closest('#tabs > .tab-wrapper [role="tab"]')?.dataset.tabId);
  });
  // Tabs are opened from the menu of those that do not fit, and by the server, too: page.js says which
  // one is open. Until the URL's own tab was shown, another one is only where the page begins.
  let begun = !location.hash;
  const chosen = new MutationObserver(() => {
    if (begun) recordTab(document.documentElement.dataset.tab);
  });
  chosen.observe(document.documentElement, { attributeFilter: ["data-tab"] });
  document.addEventListener("pointerdown", () => (begun = true), { once: true, capture: true });
  window.addEventListener("popstate", () => {
    if (location.hash) showTab();
    else tabOf("#chat")?.click();
  });
  if (location.hash) {
    const appears = new MutationObserver(() => {
      if (!showTab()) return;
      appears.disconnect();
      begun = true;
    });
    appears.observe(document, { childList: true, subtree: true });
  }
})();
