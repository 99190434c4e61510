// The page: one question, asked of every model that has the ability, and a card for each.
import { counted, element, shown } from "./answers.js";

const TITLES = {
  predict: "Predict",
  vocabulary: "Fill masks",
  replaced: "Replaced tokens",
  next_token: "Continue",
  target: "Summarise",
  similar: "Similarity",
  tokens: "Tokens",
};
const LABELS = {
  predict: "Text; of a pair the second on a line of its own",
  similar: "Sentences, one a line: the first is compared with the others",
};
const NOTES = {
  similar:
    "A model that was only pretrained has not learnt which texts mean the same: cosines are high between any two texts, and only their order says something.",
  target: "An encoder-decoder writes what it was trained to write, such as a summary or a title. It need not be true.",
  next_token: "What a model writes need not be true.",
  tokens: "Tokens that touch are one word; a gap is a blank of the text.",
  replaced: "The probability that a token replaced the original one; from 50% it is marked.",
};
const LIVE = new Set(["predict", "vocabulary", "replaced", "tokens"]); // answered while one types
const PAUSE = 350; // milliseconds without a key after which a text is asked
const SLOW = 1200; // milliseconds after which the page says why it takes long

const $ = (id) => document.getElementById(id);
const texts = {}; // of each ability, as it was left
const given = {}; // settings of each ability, as they were left
let models = [];
let ability = "";
let timer = 0;
let composing = false;

const able = () => models.filter((model) => model.abilities[ability]);

// An ability as the first model has it, with the choices of all.
function described(name) {
  const all = able().map((model) => model.abilities[name]);
  const choices = {};
  for (const [setting, values] of all.flatMap((each) => Object.entries(each.choices))) {
    choices[setting] = [...new Set([...(choices[setting] ?? []), ...values])];
  }
  return { ...all[0], choices };
}

// A model answers one question at a time; of those that come meanwhile only the last is asked.
class Card {
  constructor(model, number) {
    this.model = model;
    this.number = number;
    this.body = element("div", { class: "body" });
    this.state = element("p", { class: "state" });
    const about = [model.family, `${model.parameters.toLocaleString("en")} parameters`];
    if (model.longest) about.push(`reads ${model.longest.toLocaleString("en")} tokens`);
    const title = element("h2", { id: `model-${number}` }, model.name);
    this.whole = element(
      "article",
      { "aria-labelledby": `model-${number}` },
      element("header", {}, title, element("div", { class: "about" }, about.join(" · "))),
      this.body,
      this.state,
    );
  }

  clear() {
    this.next = null;
    this.asked = {}; // what is still on its way is nobody's any more
    this.body.replaceChildren();
    this.say("");
  }

  say(text, isError = false) {
    this.state.textContent = text;
    this.state.className = isError ? "state error" : "state";
    this.state.role = isError ? "alert" : null;
  }

  async ask(name, question) {
    this.next = [name, question];
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const [asked, body] = this.next;
      this.next = null;
      await this.answer(asked, body);
    }
    this.busy = false;
    this.whole.removeAttribute("aria-busy");
  }

  async answer(name, question) {
    const asked = (this.asked = {});
    this.whole.setAttribute("aria-busy", "true");
    this.say("Computing …");
    const slow = setTimeout(() => {
      if (this.asked === asked) this.say("Still computing. The first answer takes some seconds, and so does the first to a longer text: the model is compiled for it.");
    }, SLOW);
    let found;
    try {
      const response = await fetch(`models/${this.number}/${name}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(question),
      });
      found = await response.json();
    } catch {
      found = { error: "The playground does not answer; is it still running in its terminal?" };
    }
    clearTimeout(slow);
    if (this.asked !== asked) return;
    if (found.error) {
      this.body.replaceChildren();
      this.say(found.error, true);
    } else {
      this.body.replaceChildren(shown(name, found));
      this.say(counted(name, found));
    }
  }
}

function question() {
  const asked = { text: $("text").value };
  if (ability === "similar") {
    const lines = asked.text.split("\n").filter((line) => line.trim());
    if (lines.length < 2) return "Type two sentences or more, one a line.";
    [asked.text, ...asked.others] = lines;
  }
  if (!asked.text.trim()) return "Type some text.";
  for (const field of $("settings").querySelectorAll("input, select")) {
    if (!field.checkValidity()) return `${field.name}: ${field.validationMessage}`;
    if (field.value !== "") asked[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return asked;
}

function ask() {
  clearTimeout(timer);
  const asked = question();
  const isReady = typeof asked !== "string";
  $("hint").textContent = isReady ? hint() : asked;
  for (const model of able()) {
    if (isReady) model.card.ask(ability, asked);
    else model.card.clear();
  }
}

function hint() {
  if (LIVE.has(ability)) return "Answers follow what you type.";
  return ability === "similar" ? "Ctrl+Enter asks." : "Enter asks; Shift+Enter begins a line.";
}

function typed() {
  texts[ability] = $("text").value;
  clearTimeout(timer);
  if (LIVE.has(ability) && !composing) timer = setTimeout(ask, PAUSE);
}

function showSettings(settings, choices) {
  const kept = (given[ability] ??= {});
  const fields = Object.entries(settings).map(([name, value]) => {
    const field = choices[name]
      ? element("select", { name }, ...choices[name].map((choice) => element("option", {}, choice)))
      : element("input", { name, type: "number", step: "any", placeholder: value ?? "auto" });
    field.value = kept[name] ?? (choices[name] ? value : "");
    field.addEventListener("change", () => {
      kept[name] = field.value;
      ask();
    });
    return element("label", {}, name, field);
  });
  $("settings").replaceChildren(...fields);
}

function setText(text) {
  $("text").value = texts[ability] = text;
}

function choose(name) {
  ability = name;
  history.replaceState(null, "", `#${name}`);
  for (const tab of $("abilities").children) {
    const isChosen = tab.dataset.ability === name;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    if (isChosen) $("question").setAttribute("aria-labelledby", tab.id);
  }
  const { settings, choices, texts: examples } = described(name);
  showSettings(settings, choices);
  $("text-label").textContent = LABELS[name] ?? "Text";
  $("mask").hidden = name !== "vocabulary";
  $("summary").textContent = `${able().length} of ${models.length} ${models.length === 1 ? "model" : "models"}`;
  $("note").textContent = NOTES[name] ?? "";
  const buttons = examples.map((text) => {
    const button = element("button", { type: "button", lang: "ko", title: text }, text.replaceAll("\n", " / "));
    button.addEventListener("click", () => {
      setText(text);
      ask();
    });
    return button;
  });
  $("examples").replaceChildren(...buttons);
  $("question").hidden = false;
  setText(texts[name] ?? examples[0]);
  for (const model of models) model.card.clear();
  $("answers").replaceChildren(...able().map((model) => model.card.whole));
  if (LIVE.has(name)) ask();
  else $("hint").textContent = hint();
}

function showTabs(names) {
  const tabs = names.map((name) => {
    const tab = element("button", { type: "button", role: "tab", id: `tab-${name}`, "data-ability": name, "aria-controls": "question" }, TITLES[name] ?? name);
    tab.addEventListener("click", () => choose(name));
    return tab;
  });
  $("abilities").replaceChildren(...tabs);
  $("abilities").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    choose(next.dataset.ability);
  });
}

function listen() {
  const text = $("text");
  $("question").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  text.addEventListener("compositionstart", () => (composing = true));
  text.addEventListener("compositionend", () => {
    composing = false;
    typed();
  });
  text.addEventListener("input", typed);
  text.addEventListener("keydown", (event) => {
    // The Enter that ends the composition of a syllable asks nothing; Safari tells of it by the code 229 alone.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    if (event.shiftKey || (ability === "similar" && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    ask();
  });
  $("mask").addEventListener("click", () => {
    text.setRangeText("[MASK]", text.selectionStart, text.selectionEnd, "end");
    text.focus();
    typed();
  });
}

async function start() {
  try {
    models = await (await fetch("models")).json();
  } catch {
    $("summary").className = "failed";
    $("summary").textContent = "The playground does not answer; is it still running in its terminal?";
    return;
  }
  models.forEach((model, number) => (model.card = new Card(model, number)));
  const having = new Set(models.flatMap((model) => Object.keys(model.abilities)));
  const names = [...new Set([...Object.keys(TITLES), ...having])].filter((name) => having.has(name));
  showTabs(names);
  listen();
  const wanted = location.hash.slice(1);
  choose(having.has(wanted) ? wanted : names[0]);
}

start();
