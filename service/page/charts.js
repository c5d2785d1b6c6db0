// Parts of results: cards, warnings, and bars, which are tables to those who do not see them.

import { html, p, strong } from "./elements.js";

/** Rows of a label, a bar of this share of the width, a value in words, and perhaps the bar's kind. */
export function bars(caption, rows, className = "") {
	const bar = ({ share, kind = "" }) => share > 0 && html("span", { class: `bar ${kind}`, "--share": share });
	return html("table", { class: `bars ${className}`, "aria-label": caption },
		html("tbody", {}, rows.map((row) =>
			html("tr", { class: row.kind },
				html("th", { scope: "row" }, row.label),
				html("td", { class: "track", "aria-hidden": "true" }, bar(row)),
				html("td", { class: "value" }, row.value)))));
}

export const card = (title, ...children) => html("section", { class: "card" }, html("h3", {}, title), ...children);

/** The warning of a reply, as the service gives it, if there is one. */
export const warning = (words, start) => words && html("p", { class: "message warning" }, strong(`${start} `), words);
