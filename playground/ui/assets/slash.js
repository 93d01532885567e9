// "/" at the beginning of a message offers the stored prompts; the list comes from the server, the
// choice goes back by a click on the hidden button #slash, which reads window.playgroundSlash.
(() => {
  const box = () => document.querySelector("#message textarea");
  let menu = null;
  let active = 0;

  function close() {
    menu?.remove();
    menu = null;
    box()?.removeAttribute("aria-activedescendant");
  }

  function choose(name) {
    const message = box();
    close();
    set(message, "");
    window.playgroundSlash = name;
    document.querySelector("#slash")?.click();
  }

  // As if it had been typed, which is what the page's framework listens to.
  function set(field, value) {
    const kind = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function mark(place) {
    const options = [...menu.children];
    active = (place + options.length) % options.length;
    options.forEach((option, index) => option.setAttribute("aria-selected", String(index === active)));
    options[active].scrollIntoView({ block: "nearest" });
    box().setAttribute("aria-activedescendant", options[active].id);
  }

  function show(typed) {
    close();
    const wanted = typed.slice(1).toLowerCase();
    const found = [...document.querySelectorAll("#slash-names button")].filter((each) =>
      each.dataset.name.toLowerCase().includes(wanted),
    );
    if (!found.length) return;
    menu = document.createElement("div");
    menu.className = "slash-menu";
    menu.setAttribute("role", "listbox");
    menu.setAttribute("aria-label", "Prompts");
    found.forEach((each, index) => {
      const option = each.cloneNode(true);
      option.id = `slash-option-${index}`;
      option.tabIndex = -1;
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        choose(option.dataset.name);
      });
      menu.append(option);
    });
    const place = box().getBoundingClientRect();
    menu.style.left = `${place.left}px`;
    menu.style.width = `${Math.min(place.width, 520)}px`;
    menu.style.bottom = `${window.innerHeight - place.top + 8}px`;
    document.body.append(menu);
    mark(0);
  }

  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    if (/^\/[\w.-]*$/u.test(event.target.value)) show(event.target.value);
    else close();
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (!menu || event.target !== box()) return;
      const moves = { ArrowDown: 1, ArrowUp: -1 };
      if (event.key in moves) mark(active + moves[event.key]);
      else if (event.key === "Enter" || event.key === "Tab") choose(menu.children[active].dataset.name);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  document.addEventListener("focusout", (event) => {
    if (event.target === box()) close();
  });
})();
