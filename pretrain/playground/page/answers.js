// What a model answered, as elements. Texts only ever become text nodes, so that nothing in them is taken for HTML.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

function bar(share) {
  const filled = element("i");
  filled.style.width = percent(Math.min(1, Math.max(0, share)));
  return element("span", { class: "bar", "aria-hidden": "true" }, filled);
}

// A piece of the vocabulary; the mark by which it continues or begins a word is quiet.
function spelt(piece) {
  const mark = /^(##|▁)(?=.)/.exec(piece)?.[0] ?? "";
  return [element("span", { class: "mark" }, mark), piece.slice(mark.length)];
}

function fillings(answers) {
  const rows = answers.map(({ piece, probability, text, mask }) =>
    element(
      "li",
      {},
      ...(mask ? [element("small", {}, `mask ${mask}`)] : []),
      element(
        "div",
        { class: "measured" },
        element("span", { class: "piece", lang: "ko" }, ...spelt(piece)),
        bar(probability),
        element("span", { class: "number" }, percent(probability)),
      ),
      element("p", { class: "sentence", lang: "ko" }, text),
    ),
  );
  return element("ol", {}, ...rows);
}

function chip(token) {
  const likely = token.probability;
  const isReplaced = likely >= 0.5;
  const kinds = ["token", token.special && "special", token.unknown && "unknown", isReplaced && "replaced"];
  const below = likely === undefined ? String(token.id) : percent(likely);
  const made = element(
    "span",
    { class: kinds.filter(Boolean).join(" "), role: "listitem", title: token.unknown ? "not in the vocabulary" : `id ${token.id}` },
    ...(token.unknown ? [token.text] : spelt(token.piece)),
    element("small", {}, below, isReplaced ? " replaced?" : ""),
  );
  if (likely !== undefined) made.style.setProperty("--heat", likely.toFixed(3));
  return made;
}

// Chips in words in eojeols.
function tokens(answers) {
  const eojeols = [];
  for (const token of answers) {
    if (token.starts_eojeol || !eojeols.length) eojeols.push([]);
    const words = eojeols.at(-1);
    if (token.starts_word || !words.length) words.push([]);
    words.at(-1).push(token);
  }
  const word = (its) => element("span", { class: "word" }, ...its.map(chip));
  const eojeol = (its) => element("span", { class: "eojeol" }, ...its.map(word));
  return element("div", { class: "tokens", role: "list", lang: "ko" }, ...eojeols.map(eojeol));
}

function continuations(answers, asked) {
  const rows = answers.map((text) =>
    element(
      "li",
      {},
      element(
        "p",
        { class: "text", lang: "ko" },
        element("span", { class: "given" }, asked),
        element("span", { class: "written" }, text.slice(asked.length) || " "),
      ),
    ),
  );
  return element("ol", {}, ...rows);
}

// Of a fine-tuned model, in the forms of `predict`.
function predictions(answers) {
  return element("div", {}, ...answers.map(prediction));
}

function prediction({ text, probabilities, score, entities, tags }) {
  if (probabilities) {
    const rows = Object.entries(probabilities)
      .sort((one, other) => other[1] - one[1])
      .map(([label, share]) =>
        element(
          "li",
          { class: "measured" },
          element("span", { class: "piece", lang: "ko" }, label),
          bar(share),
          element("span", { class: "number" }, percent(share)),
        ),
      );
    return element("ol", {}, ...rows);
  }
  if (score !== undefined) return element("p", { class: "piece" }, score.toFixed(4));
  return element("p", { class: "text tagged", lang: "ko" }, ...marked(text, entities ?? tags));
}

// The text with its entities or tags marked; places are counted in characters, not in units of UTF-16.
function marked(text, places) {
  const characters = [...text];
  const parts = [];
  let end = 0;
  for (const place of places) {
    parts.push(characters.slice(end, place.start).join(""));
    parts.push(element("mark", {}, place.text, element("small", {}, place.type ?? place.tag)));
    end = place.end;
  }
  return [...parts, characters.slice(end).join("")];
}

function likenesses(answers) {
  const rows = answers.map(({ text, cosine }) =>
    element(
      "li",
      { class: "measured of-texts" },
      element("span", { class: "words", lang: "ko" }, text),
      bar(cosine),
      element("span", { class: "number" }, cosine.toFixed(4)),
    ),
  );
  return element("ol", {}, ...rows);
}

// Of abilities that this file does not know: strings, or what there is of them.
function plain(answers) {
  const rows = answers.map((answer) => {
    const text = typeof answer === "string" ? answer : JSON.stringify(answer);
    return element("li", {}, element("p", { class: text ? "text" : "nothing", lang: "ko" }, text || "(nothing)"));
  });
  return element("ol", {}, ...rows);
}

const SHOWN = { predict: predictions, vocabulary: fillings, replaced: tokens, next_token: continuations, similar: likenesses, tokens };

export function shown(ability, { answers, text }) {
  return (SHOWN[ability] ?? plain)(answers, text);
}

export function counted(ability, { answers, seconds }) {
  const taken = seconds < 1 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`;
  if (answers[0]?.entities) return `${answers[0].entities.length} entities · ${taken}`;
  if (ability !== "tokens") return taken;
  const own = answers.filter((token) => !token.special);
  const eojeols = own.filter((token) => token.starts_eojeol).length;
  const unknown = own.filter((token) => token.unknown).length;
  const parts = [`${own.length} tokens`, `${(own.length / Math.max(1, eojeols)).toFixed(2)} an eojeol`];
  if (unknown) parts.push(`${unknown} unknown`);
  return parts.join(" · ");
}
