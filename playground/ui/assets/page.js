// Light and dark, the settings panel, and keys: what the page does without asking the server.
(() => {
  const THEME_KEY = "mistral-playground.theme";
  const PANEL_KEY = "mistral-playground.settings";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 900px)");

  const theme = () => localStorage.getItem(THEME_KEY) || (system.matches ? "dark" : "light");

  function applyTheme() {
    const dark = theme() === "dark";
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    document.documentElement.style.background = dark ? "#171513" : "#fbfaf8";
    if (document.body && document.body.classList.contains("dark") !== dark) {
      document.body.classList.toggle("dark", dark);
    }
  }

  function applyPanel(open) {
    document.documentElement.classList.toggle("settings-closed", !open);
    for (const button of document.querySelectorAll('[data-action="settings"]')) {
      button.setAttribute("aria-expanded", String(open));
    }
  }

  const panelOpen = () => !document.documentElement.classList.contains("settings-closed");
  const panelWanted = () => !narrow.matches && localStorage.getItem(PANEL_KEY) !== "closed";

  const actions = {
    theme() {
      const next = theme() === "dark" ? "light" : "dark";
      const followsSystem = next === (system.matches ? "dark" : "light");
      if (followsSystem) localStorage.removeItem(THEME_KEY);
      else localStorage.setItem(THEME_KEY, next);
      applyTheme();
    },
    settings() {
      const open = !panelOpen();
      if (!narrow.matches) localStorage.setItem(PANEL_KEY, open ? "open" : "closed");
      applyPanel(open);
    },
  };

  document.addEventListener("click", (event) => {
    const control = event.target.closest("[data-action]");
    if (control) actions[control.dataset.action]();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const panels = [...document.querySelectorAll(".code-close")];
    const close = panels.find((button) => button.offsetParent);
    if (close) close.click();
    else if (narrow.matches && panelOpen()) applyPanel(false);
  });
  system.addEventListener("change", applyTheme);
  narrow.addEventListener("change", () => applyPanel(panelWanted()));

  function start() {
    // Gradio sets the class from the system's preference when it mounts; ours is the last word.
    new MutationObserver(applyTheme).observe(document.body, { attributeFilter: ["class"] });
    applyTheme();
    applyPanel(panelWanted());
  }
  applyTheme();
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
