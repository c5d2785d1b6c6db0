// A table of any length: only the rows in sight are in the page.

import { button, byId, html } from "./elements.js";

const ROW_REM = 2; // the height of a row, as in the style sheet
const SPARE_ROWS = 10; // above and below what is in sight

const { compare: compareWords } = new Intl.Collator([], { numeric: true });
const compare = (one, other) => (typeof one === "string" ? compareWords(one, other) : one - other);

/** A sortable table; columns have a title, a value and a text for each row, and `onChoose` is called with a row. */
export function gridOf({ columns, count, caption, onChoose }) {
	const order = Array.from({ length: count }, (_, row) => row);
	const sorted = { index: 0, descending: false };
	let active = 0; // a position in the order
	let chosen = null; // a row
	const kind = (column) => column.numeric && "numeric";
	const head = html("tr", { "aria-rowindex": 1 }, columns.map((column, index) =>
		html("th", { scope: "col", class: kind(column) }, button(column.title, () => sort(index)))));
	const body = html("tbody", { onclick: ({ target }) => choose(target.closest("tr").dataset.position) });
	const table = html("table", { role: "grid", tabindex: "0", "aria-label": caption, "aria-rowcount": count + 1, onkeydown: press },
		html("thead", {}, head), body);
	const element = html("div", { class: "grid", onscroll: draw }, table);

	function draw() {
		const height = ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
		const first = Math.max(0, Math.floor(element.scrollTop / height) - SPARE_ROWS);
		const last = Math.min(count, Math.ceil((element.scrollTop + element.clientHeight) / height) + SPARE_ROWS);
		const rows = [];
		for (let position = first; position < last; position++) rows.push(rowAt(position));
		body.replaceChildren(space(first * height), ...rows, space((count - last) * height));
		table.setAttribute("aria-activedescendant", active >= first && active < last ? `row-${active}` : "");
		return height;
	}

	function rowAt(position) {
		const row = order[position];
		const attributes = {
			id: `row-${position}`,
			"data-position": `${position}`,
			"aria-rowindex": position + 2,
			"aria-selected": `${row === chosen}`,
			class: position === active && "active",
		};
		return html("tr", attributes, columns.map((column) => html("td", { class: kind(column) }, column.text(row))));
	}

	function choose(position) {
		if (!position) return;
		active = Number(position);
		chosen = order[active];
		draw();
		onChoose(chosen);
	}

	function press(event) {
		if (event.target !== table) return;
		const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -count, End: count };
		if (event.key === "Enter" || event.key === " ") choose(`${active}`);
		else if (event.key in moves) move(Math.max(0, Math.min(count - 1, active + moves[event.key])));
		else return;
		event.preventDefault();
	}

	function move(position) {
		active = position;
		const height = draw();
		if (!byId(`row-${active}`)) {
			element.scrollTop = active * height;
			draw();
		}
		byId(`row-${active}`).scrollIntoView({ block: "nearest" });
	}

	function sort(index) {
		sorted.descending = sorted.index === index && !sorted.descending;
		sorted.index = index;
		const { value } = columns[index];
		order.sort((one, other) => (sorted.descending ? -1 : 1) * compare(value(one), value(other)) || one - other);
		active = 0;
		element.scrollTop = 0;
		markSorted();
		draw();
	}

	function markSorted() {
		const direction = sorted.descending ? "descending" : "ascending";
		[...head.children].forEach((cell, index) => cell.setAttribute("aria-sort", index === sorted.index ? direction : "none"));
	}

	markSorted();
	new ResizeObserver(draw).observe(element);
	return element;
}

const space = (height) => html("tr", { class: "space", "aria-hidden": "true" }, html("td", { "--height": `${height}px` }));
