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

  const seen = (selector) =>
    [...document.querySelectorAll(selector)].find((element) => element.getClientRects().length > 0);

  const actions = {
    message() {
      seen("#message textarea, .composer textarea")?.focus();
    },
    system() {
      applyPanel(true);
      seen("#system textarea")?.focus();
    },
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

  // Over the message box, where the settings are closed: what the model is told beforehand.
  window.playgroundChip = (text) => {
    if (!text?.trim()) return "";
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.action = "system";
    button.textContent = `System prompt: ${text.trim()}`;
    return button.outerHTML;
  };

  document.addEventListener("click", (event) => {
    const control = event.target.closest("[data-action]");
    if (!control) return;
    if (control.matches("a")) event.preventDefault();
    actions[control.dataset.action]();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const close = seen(".code-close");
    const editing = event.target.closest("#chat, .timeline")?.querySelector(".edit-textarea");
    if (close) close.click();
    else if (narrow.matches && panelOpen() && document.documentElement.dataset.tab === "chat")
      applyPanel(false);
    else if (editing) seen('#chat [aria-label="Cancel"], .timeline [aria-label="Cancel"]')?.click();
    else seen(".stop-button, #json-stop, #cmp-stop")?.click();
  });
  // Outside of the panel that lies over the conversation, a tap closes it.
  document.addEventListener("pointerdown", (event) => {
    if (!narrow.matches || !panelOpen() || !seen("#settings")) return;
    if (!event.target.closest("#settings, [data-action], .options, [role=listbox]")) applyPanel(false);
  });
  system.addEventListener("change", applyTheme);
  narrow.addEventListener("change", () => applyPanel(panelWanted()));

  // Panels of code are dialogs: they take the focus, keep it, and give it back.
  let dialog = null;
  let opener = null;
  let clicked = null; // what has the focus when the panel comes may be something else by then
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("button");
      if (button && !button.closest(".code-panel")) clicked = button;
    },
    { capture: true },
  );
  function watchPanels() {
    if (dialog && (!dialog.isConnected || dialog.offsetWidth === 0)) {
      dialog = null;
      opener?.focus();
    }
    const panel = [...document.querySelectorAll(".code-panel")].find((p) => p.offsetWidth > 0);
    if (!panel || panel === dialog) return;
    dialog = panel;
    opener = clicked?.isConnected ? clicked : document.activeElement;
    panel.setAttribute("role", "dialog");
    panel.setAttribute("aria-modal", "true");
    panel.setAttribute("aria-label", "The same through the API");
    panel.querySelector(".code-close")?.focus();
  }
  document.addEventListener("focusin", (event) => {
    const panel = [...document.querySelectorAll(".code-panel")].find((p) => p.offsetWidth > 0);
    if (panel && !panel.contains(event.target)) panel.querySelector(".code-close")?.focus();
  });

  // On a phone a form folds away once its work begins, and the results come into view.
  const WORK = "#json-extract, #json-all, #ft-start, .composer .submit-button, .example";
  function fold(studio, folded) {
    studio.classList.toggle("folded", folded);
    const button = studio.querySelector(":scope > .setup > .fold");
    if (button) button.textContent = folded ? "Show the form" : "Hide the form";
    button?.setAttribute("aria-expanded", String(!folded));
  }
  function workBegins(target) {
    const studio = target.closest?.(".studio");
    if (!narrow.matches || !studio?.querySelector(":scope > .setup")) return;
    fold(studio, true);
    studio.scrollTop = 0;
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest(WORK)) workBegins(event.target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && event.target.closest(".composer"))
      workBegins(event.target);
  });

  function prepare() {
    const tab = document.querySelector('#tabs > .tab-wrapper [role="tab"][aria-selected="true"]');
    if (tab) document.documentElement.dataset.tab = tab.dataset.tabId;
    for (const button of document.querySelectorAll('#header [data-action="settings"]'))
      button.style.display = !tab || tab.dataset.tabId === "chat" ? "" : "none";
    for (const setup of document.querySelectorAll(".studio > .setup:not(:has(> .fold))")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "fold";
      button.addEventListener("click", () =>
        fold(setup.parentElement, !setup.parentElement.classList.contains("folded")),
      );
      setup.prepend(button);
      fold(setup.parentElement, false);
    }
    for (const list of document.querySelectorAll('.examples[role="list"]')) {
      list.setAttribute("role", "group"); // its children are buttons, not list items
      list.setAttribute("aria-label", "Examples");
    }
    for (const arrow of document.querySelectorAll(".thought-group .title .arrow button")) {
      arrow.disabled = true; // the title around it is the button
      arrow.setAttribute("aria-hidden", "true");
    }
    for (const upload of document.querySelectorAll("button.upload-container[aria-label]:not(.icon-mode), button:has(> .upload-container)[aria-label]"))
      upload.removeAttribute("aria-label"); // its text says more
    for (const again of document.querySelectorAll('button[aria-label="common.upload"]')) {
      again.removeAttribute("aria-label"); // a button around the button that opens the files
      again.setAttribute("role", "group");
      again.tabIndex = -1;
      again.title = "Choose other files";
      again.querySelector("button")?.setAttribute("aria-label", again.title);
    }
    for (const header of document.querySelectorAll('.toast-header[role="button"]'))
      header.setAttribute("role", "group"); // there is a button in it
    for (const wide of document.querySelectorAll(".fields, .scroll"))
      if (wide.scrollWidth > wide.clientWidth && wide.tabIndex < 0) wide.tabIndex = 0;
    for (const scroller of document.querySelectorAll(".cm-scroller, .code-panel pre"))
      if (scroller.tabIndex < 0 && !scroller.querySelector('[contenteditable="true"]')) scroller.tabIndex = 0;
    for (const editor of document.querySelectorAll('.cm-content[contenteditable="true"]:not([tabindex])'))
      editor.tabIndex = 0;
    watchPanels();
  }

  let planned = false;
  function plan() {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      prepare();
    });
  }

  function start() {
    new MutationObserver(plan).observe(document.body, {
      childList: true,
      subtree: true,
      attributeFilter: ["class", "style", "aria-selected", "hidden"],
    });
    // Gradio sets the class from the system's preference when it mounts; ours is the last word.
    new MutationObserver(applyTheme).observe(document.body, { attributeFilter: ["class"] });
    applyTheme();
    applyPanel(panelWanted());
  }
  applyTheme();
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
