// A table of any length: only the rows in sight are in the page.

import { html } from "./elements.js";

const ROW_REM = 2; // the height of a row, as in the style sheet
const SPARE_ROWS = 10; // above and below what is in sight
const PAGE_ROWS = 10;

const collator = new Intl.Collator(undefined, { numeric: true });
const compare = (one, other) => (typeof one === "string" ? collator.compare(one, other) : one - other);

/**
 * A sortable table of `count` rows. Each column has a title, its value and its text in a row, and whether it is of
 * numbers. `onChoose(row)` is called when a row is clicked, or Enter pressed in it.
 */
export class Grid {
	#columns;
	#order;
	#onChoose;
	#active = 0; // a position in the order
	#chosen = null; // a row
	#sorted = { column: 0, descending: false };
	#body = html("tbody");
	#head;
	#table;

	constructor({ columns, count, caption, onChoose }) {
		this.#columns = columns;
		this.#order = Array.from({ length: count }, (_, row) => row);
		this.#onChoose = onChoose;
		this.#head = html("tr", { "aria-rowindex": 1 }, columns.map((column, index) =>
			html("th", { scope: "col", class: column.numeric ? "numeric" : "words" },
				html("button", { type: "button", onclick: () => this.#sort(index) }, column.title))));
		this.#table = html(
			"table",
			{ role: "grid", tabindex: "0", "aria-rowcount": count + 1, onkeydown: (event) => this.#press(event) },
			html("caption", { class: "unseen" }, caption),
			html("thead", {}, this.#head),
			this.#body,
		);
		this.element = html("div", { class: "grid", onscroll: () => this.#draw() }, this.#table);
		this.#body.addEventListener("click", ({ target }) => {
			const { position } = target.closest("tr").dataset;
			if (position) this.#choose(Number(position));
		});
		this.#markSorted();
		new ResizeObserver(() => this.#draw()).observe(this.element);
	}

	#draw() {
		const [height, count] = [rowHeight(), this.#order.length];
		const first = Math.max(0, Math.floor(this.element.scrollTop / height) - SPARE_ROWS);
		const last = Math.min(count, Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + SPARE_ROWS);
		const rows = [];
		for (let position = first; position < last; position++) rows.push(this.#row(position));
		this.#body.replaceChildren(space(first * height), ...rows, space((count - last) * height));
		this.#table.setAttribute("aria-activedescendant", `row-${this.#active}`);
	}

	#row(position) {
		const row = this.#order[position];
		const attributes = {
			id: `row-${position}`,
			"data-position": position,
			"aria-rowindex": position + 2,
			"aria-selected": String(row === this.#chosen),
			class: position === this.#active && "active",
		};
		return html("tr", attributes, this.#columns.map((column) =>
			html("td", { class: column.numeric && "numeric" }, column.text(row))));
	}

	#choose(position) {
		this.#active = position;
		this.#chosen = this.#order[position];
		this.#draw();
		this.#onChoose(this.#chosen);
	}

	#press(event) {
		if (event.target !== this.#table) return;
		const last = this.#order.length - 1;
		const to = {
			ArrowDown: this.#active + 1,
			ArrowUp: this.#active - 1,
			PageDown: this.#active + PAGE_ROWS,
			PageUp: this.#active - PAGE_ROWS,
			Home: 0,
			End: last,
		}[event.key];
		if (event.key === "Enter" || event.key === " ") this.#choose(this.#active);
		else if (to !== undefined) this.#move(Math.max(0, Math.min(last, to)));
		else return;
		event.preventDefault();
	}

	/** Makes a row the active one, and brings it into sight below the head. */
	#move(position) {
		this.#active = position;
		const [height, top] = [rowHeight(), this.element.scrollTop];
		const room = this.element.clientHeight - this.#head.offsetHeight - height;
		this.element.scrollTop = Math.min(Math.max(top, position * height - room), position * height);
		this.#draw();
	}

	#sort(index) {
		const { value } = this.#columns[index];
		const descending = this.#sorted.column === index && !this.#sorted.descending;
		this.#sorted = { column: index, descending };
		const sign = descending ? -1 : 1;
		this.#order.sort((one, other) => sign * compare(value(one), value(other)) || one - other);
		this.#active = 0;
		this.element.scrollTop = 0;
		this.#markSorted();
		this.#draw();
	}

	#markSorted() {
		const { column, descending } = this.#sorted;
		[...this.#head.children].forEach((cell, index) => {
			const direction = descending ? "descending" : "ascending";
			cell.setAttribute("aria-sort", index === column ? direction : "none");
		});
	}
}

const rowHeight = () => ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
const space = (height) => html("tr", { class: "space", "aria-hidden": "true" }, html("td", { "--height": `${height}px` }));
