// Keys: the command palette (Ctrl+K), the sheet of keys (?), and ↑ in an empty message box, which edits
// the last message. Enter, Shift+Enter and Esc are where they act: the text box and page.js.
(() => {
  const seen = (selector) =>
    [...document.querySelectorAll(selector)].find((element) => element.offsetParent !== null);
  const press = (selector) => () => seen(selector)?.click();
  const KEYS = [
    ["Enter", "Send the message"],
    ["Shift+Enter", "New line"],
    ["↑", "Edit the last message, from an empty box"],
    ["Esc", "Close what is open; otherwise stop the answer"],
    ["Ctrl+K or ⌘K", "Command palette"],
    ["/", "Stored prompts, at the beginning of a message"],
    ["← →", "Move along the tokens of a colored answer; Enter shows alternatives"],
    ["?", "This sheet"],
  ];
  let overlay = null;
  let opener = null;

  function close() {
    if (!overlay) return;
    overlay.remove();
    overlay = null;
    if (opener?.isConnected) opener.focus();
  }

  function dialog(name, label) {
    close();
    opener = document.activeElement;
    overlay = document.createElement("div");
    overlay.className = "overlay";
    const box = document.createElement("div");
    box.className = `overlay-box ${name}`;
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-modal", "true");
    box.setAttribute("aria-label", label);
    overlay.append(box);
    overlay.addEventListener("pointerdown", (event) => {
      if (event.target === overlay) close();
    });
    document.body.append(overlay);
    return box;
  }

  function showKeys() {
    const box = dialog("keys", "Keys");
    const title = document.createElement("h2");
    title.textContent = "Keys";
    const list = document.createElement("dl");
    for (const [key, use] of KEYS) {
      const term = document.createElement("dt");
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(cap);
      const about = document.createElement("dd");
      about.textContent = use;
      list.append(term, about);
    }
    const done = document.createElement("button");
    done.type = "button";
    done.textContent = "Close";
    done.addEventListener("click", close);
    box.append(title, list, done);
    done.focus();
  }

  // What can be done now: a command is offered only while the control that it presses is there.
  function commands() {
    const tabs = [
      ...document.querySelectorAll('#tabs > .tab-wrapper :is([role="tab"], .overflow-dropdown button)'),
    ].map((tab) => [
      `Go to ${tab.textContent.trim()}`,
      () => tab.click(),
    ]);
    const controls = [
      ["New chat", "#new-chat"],
      ["New comparison", "#cmp-new"],
      ["Stop the answer", ".stop-button, #cmp-stop, #json-stop"],
      ["View code", "#view-code"],
      ["Reset sampling to the model's defaults", "#reset"],
      ["Color the last answer by probability", "#tokens-color"],
      ["Show the prompt with its tokens", "#tokens-prompt"],
      ["Load a stored prompt", "#chat-load"],
      ["Write a message", "#message textarea, .composer textarea"],
      ["Search conversations", "#history input, #history textarea"],
    ].filter(([, selector]) => document.querySelector(selector) && (seen(selector) || isFolded(selector)));
    const prompts = [...document.querySelectorAll("#slash-names button")].map((each) => [
      `Use prompt ${each.dataset.name}`,
      () => {
        window.playgroundSlash = each.dataset.name;
        document.querySelector("#slash")?.click();
      },
    ]);
    const presets = [...document.querySelectorAll("#preset-names button")].map((each) => [
      `Preset: ${each.dataset.name}`,
      () => {
        window.playgroundPreset = each.dataset.name;
        document.querySelector("#preset-use")?.click();
      },
    ]);
    const chat = document.documentElement.dataset.tab === "chat";
    return [
      ...controls.map(([name, selector]) => [name, () => act(selector)]),
      ...tabs,
      ["Switch between light and dark", press('[data-action="theme"]')],
      ["Show or hide the settings", press('#header [data-action="settings"]')],
      ["Keys", showKeys],
      ...(chat ? [...presets, ...prompts] : []),
    ];
  }

  const isFolded = (selector) => document.querySelector(selector)?.closest("#settings") !== null
    && document.documentElement.dataset.tab === "chat";

  function act(selector) {
    const control = seen(selector) ?? document.querySelector(selector);
    if (control?.matches("textarea, input")) control.focus();
    else control?.click();
  }

  function showPalette() {
    const box = dialog("palette", "Commands");
    const all = commands();
    const input = document.createElement("input");
    input.type = "text";
    input.placeholder = "Type a command";
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-expanded", "true");
    input.setAttribute("aria-controls", "palette-list");
    input.setAttribute("aria-label", "Command");
    const list = document.createElement("div");
    list.id = "palette-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Commands");
    let shown = [];
    let active = 0;

    function run(command) {
      opener = null; // the command decides where the focus goes
      close();
      command[1]();
    }
    function mark(place) {
      active = (place + shown.length) % shown.length;
      [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === active)));
      list.children[active].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", list.children[active].id);
    }
    function filter() {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      shown = all.filter(([name]) => words.every((word) => name.toLowerCase().includes(word)));
      list.replaceChildren(
        ...shown.map((command, index) => {
          const item = document.createElement("div");
          item.id = `palette-${index}`;
          item.setAttribute("role", "option");
          item.textContent = command[0];
          item.addEventListener("click", () => run(command));
          return item;
        }),
      );
      if (shown.length) mark(0);
      else {
        const none = document.createElement("p");
        none.textContent = "No command has these words.";
        list.append(none);
        input.removeAttribute("aria-activedescendant");
      }
    }
    input.addEventListener("input", filter);
    input.addEventListener("keydown", (event) => {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (move && shown.length) mark(active + move);
      else if (event.key === "Enter" && shown.length) run(shown[active]);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    box.append(input, list);
    filter();
    input.focus();
  }

  // The pencil under the last message of the person's own.
  function editLast() {
    const rows = [...document.querySelectorAll("#chat .user-row, .timeline .user-row")].filter(
      (row) => row.offsetParent !== null,
    );
    const row = rows.at(-1);
    const place = row?.querySelector('[aria-label="Edit"]')
      ?? row?.nextElementSibling?.querySelector('[aria-label="Edit"]');
    place?.click();
    return Boolean(place);
  }

  const writes = (target) =>
    target.closest?.('input, textarea, select, [contenteditable="true"], .cm-content') !== null;

  document.addEventListener(
    "keydown",
    (event) => {
      if (overlay) {
        if (event.key === "Escape" || ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k")) {
          close();
        } else if (event.key === "Tab") {
          const stops = overlay.querySelectorAll("input, button");
          stops[0]?.focus(); // a dialog keeps the focus
        } else return;
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") showPalette();
      else if (event.key === "?" && plain && !writes(event.target)) showKeys();
      else if (
        event.key === "ArrowUp" && plain && !event.shiftKey &&
        event.target.matches?.("#message textarea, .composer textarea") && !event.target.value &&
        editLast()
      ) {
        /* done */
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  window.playgroundKeys = showKeys;
})();
