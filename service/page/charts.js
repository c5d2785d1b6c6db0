// Parts of results: bars, which are tables to those who do not see them, cards and warnings.

import { html } from "./elements.js";

/** Rows of a label, a bar of this share of the width, and a value in words; `kind` is the bar's colour. */
export function bars(caption, rows, { className = "" } = {}) {
	return html(
		"table",
		{ class: `bars ${className}` },
		html("caption", { class: "unseen" }, caption),
		html("tbody", {}, rows.map(({ label, share, value, kind = "", current = false }) =>
			html("tr", { class: current && "current" },
				html("th", { scope: "row" }, label),
				html("td", { class: "track", "aria-hidden": "true" }, share > 0 && html("span", { class: `bar ${kind}`, "--share": share })),
				html("td", { class: "value" }, value)))),
	);
}

/** A part of a result: a heading, and what is under it. */
export function card(title, ...children) {
	return html("section", { class: "card" }, html("h3", {}, title), ...children);
}

/** The warning that the service gives of a reply, as it gives it, if there is one. */
export function warning({ warning: words }) {
	return words ? html("p", { class: "message warning" }, html("strong", {}, "Take this with care. "), words) : "";
}
