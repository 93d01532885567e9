// Text that was made ready for Markdown (components/shown_text.py): the real characters in place of
// their stand-ins, wherever text is drawn, copied or edited. Words of any length are drawn fast.
(() => {
  const STAND_IN = /[\u{F0000}-\u{F007F}\u{F0100}-\u{F017F}]/u;
  const STAND_INS = /[\u{F0000}-\u{F007F}\u{F0100}-\u{F017F}]/gu;
  const BYLINE = /\s*\u{F0002}([^\u{F0003}]*)\u{F0003}\s?\s?/u;
  const real = (text) =>
    text.replace(STAND_INS, (found) => String.fromCodePoint(found.codePointAt(0) & 0x7f));
  const spoken = (text) => real(text.replace(BYLINE, ""));

  // Brackets that are no formula's are of a task or a footnote.
  const TASK = /\u{F015B}([ xX])\u{F015D}/gu;
  const FOOTNOTE = /\u{F015B}\^(\d+)\u{F015D}\u{F013A}?/gu;
  const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const drawn = (text) =>
    real(
      text
        .replace(TASK, (_, tick) => (tick === " " ? "☐" : "☑"))
        .replace(FOOTNOTE, (_, number) => number.replace(/\d/g, (digit) => SUPERSCRIPT[digit])),
    );

  // A line can be broken anywhere in such a word. Where its letters are kerned, Chromium shapes all
  // that is left of it again for each line: half a minute for 100,000 letters A.
  const LONG = 2000;
  const LONG_WORD = new RegExp(`\\S{${LONG}}`);

  function drawText(node) {
    if (node.length >= LONG && LONG_WORD.test(node.data)) {
      node.parentElement?.classList.add("long-word");
    }
    if (!STAND_IN.test(node.data)) return;
    // A diagram's source is not text yet: its labels are drawn as HTML.
    if (node.parentElement?.closest(".mermaid") && !node.parentElement.closest("svg")) return;
    const byline = BYLINE.exec(node.data);
    if (byline) node.parentElement?.classList.add("byline");
    node.data = byline ? real(byline[1]) : drawn(node.data);
  }

  function drawElement(element) {
    if (element.matches("textarea.edit-textarea") && STAND_IN.test(element.value)) {
      element.value = spoken(element.value);
      element.dispatchEvent(new Event("input", { bubbles: true }));
    }
    for (const attribute of ["aria-label", "title", "href"]) {
      const value = element.getAttribute(attribute);
      if (!value) continue;
      if (STAND_IN.test(value)) element.setAttribute(attribute, spoken(value));
      else if (/%F3%B0%8[0145]%[89AB]/i.test(value)) {
        element.setAttribute(attribute, encodeURI(real(decodeURI(value))));
      }
    }
  }

  function draw(node) {
    if (node.nodeType === Node.TEXT_NODE) return drawText(node);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    drawElement(node);
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const inner = walker.currentNode;
      if (inner.nodeType === Node.TEXT_NODE) drawText(inner);
      else drawElement(inner);
    }
  }

  // Observers are called before the browser paints, so stand-ins are never seen.
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "childList") change.addedNodes.forEach(draw);
      else draw(change.target);
    }
  }).observe(document, {
    childList: true,
    characterData: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["aria-label"],
  });

  if (navigator.clipboard) {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = (text) => write(spoken(text));
  }
  document.addEventListener("copy", (event) => {
    // Without a secure origin Gradio copies by way of a hidden box.
    const box = document.activeElement;
    if (!(box instanceof HTMLTextAreaElement) || !STAND_IN.test(box.value)) return;
    event.clipboardData.setData("text/plain", spoken(box.value));
    event.preventDefault();
  });
})();
