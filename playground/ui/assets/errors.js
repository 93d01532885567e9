// What is wrong stands beside the field it is about, or in a notice: errors that Gradio shows as a
// toast, and those of events that do not queue, which it does not show at all (6.31).
(() => {
  const PREFIXES = {
    chat: [""], functions: ["fn-"], json: ["json-"], prompts: ["pr-"], compare: ["cmp-"],
    evaluate: ["ev-"], finetune: ["ft-", "ad-"], usage: ["us-"], admin: ["ac-"],
  };
  const NOTICE_MS = 12_000;

  const isSeen = (element) => element && element.offsetParent !== null;
  const openTab = () =>
    document.querySelector('#tabs > .tab-wrapper [role="tab"][aria-selected="true"]')?.dataset.tabId;

  // Where a field has another id than the server's word for it.
  const OTHER_IDS = {
    prompts: { "system prompt": "system", message: "user", "more messages": "others", settings: "sampling" },
    finetune: { name: "as" },
  };

  function fieldOf(name) {
    const other = OTHER_IDS[openTab()]?.[name];
    const value = openTab() === "chat" ? "chat-value-" : "value-";
    for (const word of [other, name.replace(/^recipe\./, "").replace(/^variables\./, value)]) {
      for (const prefix of word ? PREFIXES[openTab()] ?? [""] : []) {
        for (const id of [prefix + word, prefix + word.replaceAll("_", "-")]) {
          const field = document.getElementById(id);
          if (isSeen(field)) return field;
        }
      }
    }
    return null;
  }

  function clear(field) {
    for (const note of field.querySelectorAll(".field-error")) note.remove();
    for (const input of field.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  function placeBeside(field, problem) {
    clear(field);
    const note = document.createElement("p");
    note.className = "field-error";
    note.setAttribute("role", "alert");
    note.textContent = problem;
    field.append(note);
    field.querySelector("input, textarea")?.setAttribute("aria-invalid", "true");
    field.addEventListener("input", () => clear(field), { once: true });
    field.scrollIntoView({ block: "nearest" });
  }

  function notify(text) {
    document.querySelector(".notice")?.remove();
    const notice = document.createElement("div");
    notice.className = "notice";
    notice.setAttribute("role", "alert");
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => notice.remove());
    notice.append(words, close);
    document.body.append(notice);
    setTimeout(() => notice.remove(), NOTICE_MS);
  }

  function show(text) {
    const named = /^([a-z][\w. ]*): ([\s\S]+)$/.exec(text);
    const field = named && fieldOf(named[1]);
    if (field) placeBeside(field, named[2]);
    return Boolean(field);
  }

  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        for (const text of node.querySelectorAll(".toast-body.error .toast-message-text")) {
          if (show(text.textContent.trim())) text.closest(".toast-body").querySelector(".toast-close").click();
        }
        const plan = node.matches("#ft-plan .note.bad") ? node : node.querySelector("#ft-plan .note.bad");
        if (plan) show(plan.textContent.trim());
      }
    }
  }).observe(document, { childList: true, subtree: true });

  const asText = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;
  const fetched = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetched(...request);
    const url = String(request[0]?.url ?? request[0]);
    if (response.status === 500 && url.includes("/run/predict")) {
      response
        .clone()
        .json()
        .then(({ error }) => {
          const text = asText(error || "Something went wrong. The server's log has the details.");
          if (!show(text)) notify(text);
        })
        .catch(() => notify("Something went wrong. The server's log has the details."));
    }
    // The session has ended, or the link was closed meanwhile: Gradio says nothing.
    if ([401, 403].includes(response.status) && url.includes("/gradio_api/queue/join")) {
      response
        .clone()
        .json()
        .then(({ error }) => notify(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`))
        .catch(() => notify("This was refused. Load the page again."));
    }
    return response;
  };

  // Buttons whose work cannot be undone ask: the first click adds a question, a second one acts.
  const ASK_MS = 5_000;
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("button.asks-first");
      if (!button || button.dataset.asked) {
        if (button) delete button.dataset.asked;
        return;
      }
      event.stopImmediatePropagation();
      event.preventDefault();
      const question = document.createElement("span"); // beside the text, which is Gradio's
      question.className = "question";
      question.textContent = ": are you sure?";
      button.append(question);
      button.dataset.asked = "yes";
      const settle = () => {
        delete button.dataset.asked;
        question.remove();
      };
      button.addEventListener("blur", settle, { once: true });
      button.addEventListener("click", () => setTimeout(settle), { once: true });
      setTimeout(settle, ASK_MS);
    },
    { capture: true },
  );
})();
