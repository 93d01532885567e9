// An answer that is written is followed at the end of the conversation, until its reader scrolls up;
// sending, or scrolling down to the end, follows again. Gradio's own autoscroll pulls back (6.31).
(() => {
  const NEAR_PX = 24;
  const LOGS = ".bubble-wrap";
  const states = new WeakMap();

  const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight <= NEAR_PX;
  const toEnd = (log) => {
    log.scrollTop = log.scrollHeight;
  };

  function attach(log) {
    const state = { follows: true, top: log.scrollTop, asked: 0 };
    states.set(log, state);
    log.addEventListener("scroll", () => {
      if (log.scrollTop < state.top - 1 && !atEnd(log)) state.follows = false;
      else if (atEnd(log)) state.follows = true;
      state.top = log.scrollTop;
    });
    log.addEventListener(
      "wheel",
      (event) => {
        if (event.deltaY < 0 && log.scrollHeight > log.clientHeight) state.follows = false;
      },
      { passive: true },
    );
  }

  function grew(log) {
    const state = states.get(log);
    const asked = log.querySelectorAll(".user-row").length;
    if (asked > state.asked) state.follows = true;
    state.asked = asked;
    if (state.follows) toEnd(log);
  }

  new MutationObserver((changes) => {
    const logs = new Set();
    for (const { target, addedNodes } of changes) {
      const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      const log = element?.closest(LOGS);
      if (log) logs.add(log);
      for (const node of addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE) {
          if (node.matches(LOGS)) logs.add(node);
          node.querySelectorAll(LOGS).forEach((found) => logs.add(found));
        }
      }
    }
    for (const log of logs) {
      if (!states.has(log)) attach(log);
      grew(log);
    }
  }).observe(document, { childList: true, characterData: true, subtree: true });
})();
