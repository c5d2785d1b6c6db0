// Many pieces: asked in parts, shown as a table.

import { ask } from "./api.js";
import { bars, card, warning } from "./charts.js";
import { announce, button, byId, chance, html, nameOf, percent, pieces, whole } from "./elements.js";
import { gridOf } from "./grid.js";
import { writeNpy } from "./npy.js";
import { FEATURES } from "./numbers.js";

const PATHS = ["genre/batch", "origin/batch", "north-of-20/batch"];
const ROWS_AT_A_TIME = 1000;

export class Answers {
	count = 0;
	warning = "";
	columns = {};

	add({ warning: words, ...genres }, { model_version, ...origins }, north, rows) {
		const replies = { ...origins, north_of_20: north.north_of_20, probability_of_north: north.probability, ...genres };
		for (const [name, values] of Object.entries(replies)) {
			this.columns[name] ??= [];
			this.columns[name].push(...(Array.isArray(values) ? values : Array(rows).fill(values)));
		}
		this.count += rows;
		this.warning ||= words;
	}
}

export async function askAboutRows(rows, answers, signal) {
	while (answers.count < rows.count) {
		signal.throwIfAborted();
		showProgress("Asked about", answers.count, rows.count);
		const part = rows.values.subarray(answers.count * FEATURES, (answers.count + ROWS_AT_A_TIME) * FEATURES);
		const options = { body: writeNpy(part, FEATURES), type: "application/x-npy", signal };
		answers.add(...(await Promise.all(PATHS.map((path) => ask(path, options)))), part.length / FEATURES);
	}
}

export function showProgress(doing, done, all) {
	byId("progress").hidden = false;
	[byId("done").max, byId("done").value] = [all, done];
	byId("doing").textContent = `${doing} ${whole(done)} of ${whole(all)} rows`;
}

/** Shows what was answered in place of the table before it; `onChoose` is called with a row and its name. */
export function showAnswers(name, rows, answers, genres, onChoose) {
	const counted = answers.count === rows.count ? pieces(rows.count) : `the first ${whole(answers.count)} of ${pieces(rows.count)}`;
	const unusual = answers.columns.unusual.filter(Boolean).length;
	const grid = gridOf({
		columns: columnsOf(rows, answers),
		count: answers.count,
		caption: `What the service says of each row of ${name}. Enter shows a row on the map.`,
		onChoose: (row) => onChoose(rows.row(row), [`Row ${row + 1}`, ...(rows.labels[row] ?? []).slice(0, 1)].join(", ")),
	});
	byId("table").replaceChildren(
		html("h2", { id: "table-title", tabindex: "-1" }, `${name}: ${counted}`),
		html("p", { class: "buttons" }, `${rows.note} Choose a row to see it on the map.`,
			button("Download as CSV", () => download(name, rows, answers))),
		warning(answers.warning, `${pieces(unusual)}, take with care.`) || "",
		html("div", { class: "columns" }, grid, html("div", {},
			html("figure", { id: "row-map", class: "card" }),
			chart("Genres", "Pieces by genre", genres.map(({ genre }) =>
				[`genre ${genre}`, answers.columns.genre.filter((each) => each === genre).length]), answers.count),
			sideChart(answers))),
	);
	announce(`${counted} answered.`);
}

function columnsOf(rows, { columns }) {
	const number = (title, values, text) => ({ title, value: (row) => values[row], text: (row) => text(values[row]), numeric: true });
	const words = (title, cell) => ({ title, value: cell, text: cell });
	return [
		{ title: "Row", value: (row) => row, text: (row) => `${row + 1}`, numeric: true },
		...rows.names.slice(0, 3).map((title, index) => words(title, (row) => rows.labels[row][index] ?? "")),
		words("Place", (row) => nameOf({ country: columns.country[row], latitude: columns.place_latitude[row], longitude: columns.place_longitude[row] })),
		number("Likely", columns.probability, chance),
		number("North", columns.probability_of_north, chance),
		number("Genre", columns.genre, String),
		number("Typicality", columns.typicality, percent),
		words("Unusual", (row) => (columns.unusual[row] ? "unusual" : "")),
	];
}

function sideChart({ columns, count }) {
	const north = columns.north_of_20.filter(Boolean).length;
	const rows = [["north", north, "north"], ["south", count - north, "south"]];
	return chart("Sides of 20° N", "Pieces by side", rows, count);
}

function chart(title, caption, rows, count) {
	const most = Math.max(...rows.map(([, size]) => size), 1);
	return card(title, bars(caption, rows.map(([label, size, kind]) =>
		({ label, share: size / most, value: `${whole(size)} (${percent(size / count)})`, kind }))));
}

function download(name, rows, answers) {
	const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
	const tame = (words) => (/^[=+@\t\r-]/.test(words) ? `'${words}` : words); // a spreadsheet would take it for a formula
	const lines = [["row", ...rows.names.map(tame), ...Object.keys(answers.columns)]];
	for (let row = 0; row < answers.count; row++) {
		lines.push([row + 1, ...(rows.labels[row] ?? []).map(tame), ...Object.values(answers.columns).map((column) => column[row])]);
	}
	const text = lines.map((line) => `${line.map(quoted).join(",")}\n`).join("");
	const address = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv" }));
	html("a", { href: address, download: `${name.replace(/\.\w+$/, "")}-origins.csv` }).click();
	setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
