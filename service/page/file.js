// Many pieces: asked in parts, shown as a table.

import { ask, description } from "./api.js";
import { bars, card, warning } from "./charts.js";
import { announce, byId, decimals, html, percent, plural, whole } from "./elements.js";
import { Grid } from "./grid.js";
import { writeNpy } from "./npy.js";
import { FEATURES } from "./reading.js";

export const CANCELLED = "cancelled"; // why work ended, if no other took its place
const ROWS_AT_A_TIME = 1000;
const LABELS_SHOWN = 3;

/** What the service said of the rows so far, column by column. */
class Answers {
	count = 0;
	columns = { genre: [], distance: [], typicality: [], unusual: [], north_of_20: [], probability: [], network: [], model_version: [] };

	add(genres, north, rows) {
		const replies = { ...genres, ...north };
		for (const [name, column] of Object.entries(this.columns)) {
			for (let row = 0; row < rows; row++) column.push(Array.isArray(replies[name]) ? replies[name][row] : replies[name]);
		}
		this.count += rows;
		this.warning ??= genres.warning;
	}
}

/** Asks about all rows, part by part; `progress(done)` is called after each. What was answered is in `answers`. */
async function askAboutRows(rows, answers, progress, signal) {
	let size = ROWS_AT_A_TIME;
	while (answers.count < rows.count) {
		const from = answers.count;
		const part = rows.values.subarray(from * FEATURES, (from + size) * FEATURES);
		const options = { body: writeNpy(part, FEATURES), type: "application/x-npy", signal };
		try {
			const replies = await Promise.all([ask("genre/batch", options), ask("north-of-20/batch", options)]);
			answers.add(...replies, part.length / FEATURES);
		} catch (error) {
			if (error.status === 413 && size > 1) size = Math.ceil(size / 2);
			else if (error.status === 429) await new Promise((resume) => setTimeout(resume, 1000 * (error.retryAfter || 1)));
			else throw error;
			signal.throwIfAborted();
		}
		progress(answers.count);
	}
}

/** Shows progress while something is done with many rows, by the function that it gives. */
export function progressOf(name, cancel) {
	const bar = html("progress", { id: "progress" });
	const words = html("label", { for: "progress" }, `Reading ${name}`);
	byId("table").replaceChildren(
		html("h2", { id: "table-title" }, name),
		html("p", { class: "progress" }, words, bar, html("button", { type: "button", onclick: cancel }, "Cancel")),
	);
	byId("table").hidden = false;
	return (done, all, doing) => {
		[bar.max, bar.value] = [all, done];
		words.textContent = `${doing} ${whole(done)} of ${plural(all, "row", "rows")}`;
	};
}

/** Asks about rows and shows what was answered: all, or what came before it was cancelled or failed, which is thrown. */
export async function showRows(name, rows, step, signal, onChoose) {
	const answers = new Answers();
	try {
		step(0, rows.count, "Asked about");
		await askAboutRows(rows, answers, (done) => step(done, rows.count, "Asked about"), signal);
	} finally {
		if (answers.count && (!signal.aborted || signal.reason === CANCELLED)) {
			showAnswers(name, rows, answers, (await description()).genres.length, onChoose);
		}
	}
}

function showAnswers(name, rows, answers, genreCount, onChoose) {
	const isWhole = answers.count === rows.count;
	const counted = isWhole ? plural(rows.count, "piece", "pieces") : `the first ${whole(answers.count)} of ${plural(rows.count, "piece", "pieces")}`;
	const grid = new Grid({
		columns: columnsOf(rows, answers),
		count: answers.count,
		caption: `What the service says of each row of ${name}. Enter shows a row on the map.`,
		onChoose: (row) => onChoose(rows.row(row), [`Row ${row + 1}`, ...(rows.labels[row] ?? []).slice(0, 1)].join(", ")),
	});
	byId("table").replaceChildren(
		html("h2", { id: "table-title", tabindex: "-1" }, `${name}: ${counted}`),
		html("p", { class: "buttons" }, `${rows.note} Choose a row to see it on the map.`,
			html("button", { type: "button", onclick: () => download(name, rows, answers) }, "Download as CSV")),
		warning(answers),
		html("div", { class: "columns" }, grid.element, html("div", {}, genreChart(answers, genreCount), sideChart(answers))),
	);
	announce(`${counted} answered.`);
}

function columnsOf(rows, { columns }) {
	const number = (title, values, text) => ({ title, value: (row) => values[row], text: (row) => text(values[row]), numeric: true });
	const labels = rows.names.slice(0, LABELS_SHOWN).map((title, index) => {
		const cell = (row) => rows.labels[row][index] ?? "";
		return { title, value: cell, text: cell, numeric: false };
	});
	return [
		{ title: "Row", value: (row) => row, text: (row) => String(row + 1), numeric: true },
		...labels,
		number("Genre", columns.genre, String),
		number("Typicality", columns.typicality, percent),
		number("Distance", columns.distance, decimals),
		number("North", columns.probability, percent),
		{ title: "Unusual", value: (row) => Number(columns.unusual[row]), text: (row) => (columns.unusual[row] ? "unusual" : ""), numeric: false },
	];
}

function genreChart({ columns, count }, genres) {
	const sizes = Array.from({ length: genres }, () => 0);
	for (const genre of columns.genre) sizes[genre] += 1;
	return chart("Genres", "How many pieces are of each genre", sizes.map((size, genre) => [`genre ${genre}`, size]), count);
}

function sideChart({ columns, count }) {
	const north = columns.north_of_20.filter(Boolean).length;
	return chart("Sides of 20° N", "How many pieces are likelier from north, and from south", [["north", north, "north"], ["south", count - north, "south"]], count);
}

function chart(title, caption, rows, count) {
	const most = Math.max(...rows.map(([, size]) => size), 1);
	return card(title, bars(caption, rows.map(([label, size, kind]) =>
		({ label, share: size / most, value: `${whole(size)} (${percent(size / count)})`, kind }))));
}

function download(name, rows, answers) {
	const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell);
	const lines = [["row", ...rows.names, ...Object.keys(answers.columns)]];
	for (let row = 0; row < answers.count; row++) {
		lines.push([row + 1, ...(rows.labels[row] ?? []), ...Object.values(answers.columns).map((column) => column[row])]);
	}
	const text = lines.map((line) => `${line.map(quoted).join(",")}\n`).join("");
	const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
	html("a", { href: address, download: `${name.replace(/\.\w+$/, "")}-origins.csv` }).click();
	setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
