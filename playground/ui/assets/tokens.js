// A colored answer's tokens (templates/chat/scored.html): the alternatives on hover, focus and tap, and
// going on with one of them, which clicks the hidden button #fork (it reads window.playgroundFork).
(() => {
  const LEAVE_MS = 250;
  let popover = null;
  let owner = null;
  let leaving = 0;

  function close() {
    clearTimeout(leaving);
    popover?.remove();
    owner?.removeAttribute("aria-expanded");
    popover = owner = null;
  }

  function choose(token, other) {
    const line = token.closest(".token-line");
    window.playgroundFork = {
      position: Number(token.dataset.position),
      token_id: other.token_id,
      answer: line.dataset.answer,
    };
    close();
    document.querySelector("#fork")?.click();
  }

  function row(token, other, forks) {
    const line = document.createElement(forks ? "button" : "div");
    if (forks) {
      line.type = "button";
      line.title = "Fork here with this token";
      line.addEventListener("click", () => choose(token, other));
    }
    line.className = other.chosen ? "alternative chosen" : "alternative";
    const text = document.createElement("code");
    text.textContent = other.text;
    const percent = document.createElement("span");
    percent.textContent = other.percent;
    line.append(text, percent);
    return line;
  }

  function open(token) {
    clearTimeout(leaving);
    if (owner === token) return;
    close();
    owner = token;
    token.setAttribute("aria-expanded", "true");
    popover = document.createElement("div");
    popover.className = "token-popover";
    popover.setAttribute("role", "dialog");
    popover.setAttribute("aria-label", "Alternatives");
    const head = document.createElement("p");
    const { visible, percent } = token.dataset;
    head.textContent = percent ? `${visible} · ${percent}` : `${visible} · first token, no probability`;
    popover.append(head);
    const answer = token.closest(".token-line").dataset.answer;
    const others = JSON.parse(token.dataset.others);
    for (const other of others)
      popover.append(row(token, other, Boolean(answer) && other.forks && !other.chosen));
    if (answer && others.some((other) => other.forks && !other.chosen)) {
      const hint = document.createElement("p");
      hint.className = "hint";
      hint.textContent = "Choose a token to fork the answer here.";
      popover.append(hint);
    }
    document.body.append(popover);
    const place = token.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = popover;
    const below = place.bottom + 6;
    popover.style.left = `${Math.max(8, Math.min(place.left, window.innerWidth - width - 8))}px`;
    popover.style.top = `${below + height < window.innerHeight ? below : Math.max(8, place.top - height - 6)}px`;
  }

  const tokenOf = (target) => target.closest?.(".token-line .token[data-others]");
  const leave = () => {
    clearTimeout(leaving);
    leaving = setTimeout(close, LEAVE_MS);
  };

  document.addEventListener("pointerover", (event) => {
    const token = tokenOf(event.target);
    if (token) open(token);
    else if (popover && !popover.contains(event.target)) leave();
    else clearTimeout(leaving);
  });
  document.addEventListener("focusin", (event) => {
    const token = tokenOf(event.target);
    if (token) open(token);
    else if (popover && !popover.contains(event.target)) close();
  });
  document.addEventListener("click", (event) => {
    const token = tokenOf(event.target);
    if (token) open(token);
    else if (popover && !popover.contains(event.target)) close();
  });
  document.addEventListener("scroll", (event) => {
    if (popover && !popover.contains(event.target)) close();
  }, true);

  // One stop for Tab; arrow keys move along the answer, Enter goes to the alternatives.
  document.addEventListener(
    "keydown",
    (event) => {
      const token = tokenOf(event.target);
      if (event.key === "Escape" && popover) {
        const back = owner;
        const inside = popover.contains(event.target);
        close();
        if (inside) back.focus({ preventScroll: true });
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      if (popover?.contains(event.target)) {
        const move = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
        if (!move) return;
        let next = event.target[move];
        while (next && !next.matches("button")) next = next[move];
        next?.focus();
        event.preventDefault();
        return;
      }
      if (!token) return;
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        const all = [...token.parentElement.querySelectorAll(".token[data-others]")];
        const next = all[all.indexOf(token) + step];
        if (next) {
          token.tabIndex = -1;
          next.tabIndex = 0;
          next.focus();
        }
      } else if (event.key === "Enter" || event.key === " ") {
        open(token);
        popover.querySelector("button")?.focus();
      } else return;
      event.preventDefault();
    },
    true,
  );
})();
