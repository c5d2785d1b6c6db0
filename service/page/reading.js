// What people have, read to rows of 68 numbers: typed or pasted text, and files.

import { columnsOf, recordsOf, separatorOf } from "./csv.js";
import { InputError } from "./errors.js";
import { isNpy, readNpy } from "./npy.js";
import { BOUND, FEATURES, NO_NUMBER, shortened, toNumber, WIDTHS, whatIsWrong } from "./numbers.js";

const MAX_FILE_MIB = 128;
const MAX_ERRORS = 10;
const ROWS_AT_A_TIME = 1000;
const LONG = FEATURES - 8; // words in a line that is a row, and no part of a piece
const ASIDE = "The two numbers beyond the 68, latitude and longitude, are left aside.";

/** Rows as they were read: 68 `values` each; `labels` are the cells of columns of words, which have `names`. */
class Rows {
	constructor(values, note = "", names = [], labels = []) {
		Object.assign(this, { values, names, labels, note, count: values.length / FEATURES });
	}

	row(index) {
		return this.values.subarray(index * FEATURES, (index + 1) * FEATURES);
	}
}

/** Reads text. `pause(done, all)` is awaited now and then, and may throw to end it. */
export async function readText(given, pause = () => {}) {
	const text = given.replace(/^\uFEFF?(sep=.\s)?/i, "");
	if (!text.trim()) throw new InputError(`There is nothing yet: ${FEATURES} numbers are wanted.`);
	if (/^\s*[[{]/.test(text)) return readJson(text);
	return isTable(text) ? readTable(text, pause) : readPiece(given);
}

export async function readFile(file, pause) {
	if (file.size > MAX_FILE_MIB * 2 ** 20) throw new InputError(`It is larger than ${MAX_FILE_MIB} MiB: send it from a program.`);
	const bytes = new Uint8Array(await file.arrayBuffer());
	if (isNpy(bytes)) return fromArray(readNpy(bytes));
	const text = decoded(bytes);
	if (/[\0-\x08]/.test(text)) throw new InputError("It is neither text nor .npy. Recordings cannot be read, and spreadsheets once they are saved as CSV.");
	return readText(text, pause);
}

function decoded(bytes) {
	const utf16 = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.subarray(0, 2).join()];
	try {
		return new TextDecoder(utf16 ?? "utf-8", { fatal: true }).decode(bytes);
	} catch {
		return new TextDecoder("windows-1252").decode(bytes); // as older spreadsheets save it
	}
}

/** Whether a text has rows: lines long enough, more than one or with words beside their numbers. */
function isTable(text) {
	const lines = text.split(/\r\n?|\n/).filter((line) => line.trim());
	const words = wordsOf(lines[0]).words;
	const areNumbers = words.filter(([word]) => whatIsWrong(word, true) !== NO_NUMBER).length;
	if (lines.length === 1) return areNumbers < words.length && WIDTHS.includes(areNumbers);
	return lines.some((line) => wordsOf(line).words.length >= LONG);
}

/** The words that should be numbers, and whether commas are decimal: some are within numbers, and no point is seen. */
function wordsOf(text) {
	const commas = !text.includes(".") && /\d,\d/.test(text) && /[;\s]/.test(text.trim());
	return { words: [...text.matchAll(commas ? /[^,;\s][^;\s]*?(?=,?(?:[;\s]|$))/g : /[^,;\s]+/g)], commas };
}

function readPiece(text) {
	const { words, commas } = wordsOf(text);
	words.forEach(({ 0: word, index }, number) => {
		const wrong = whatIsWrong(word, commas);
		if (wrong) throw new InputError(`Number ${number + 1}, ${shortened(word)}, ${wrong}.`, [index, index + word.length]);
	});
	if (!WIDTHS.includes(words.length)) throw new InputError(`There must be ${FEATURES} numbers, not ${words.length}.`);
	const values = words.slice(0, FEATURES).map(([word]) => toNumber(word, commas));
	return new Rows(Float64Array.from(values), words.length > FEATURES ? ASIDE : "");
}

function readJson(text) {
	let document;
	try {
		document = JSON.parse(text);
	} catch (error) {
		throw new InputError(`This is not JSON: ${error.message}.`);
	}
	const { features, ...others } = Array.isArray(document) ? { features: document } : document;
	const rows = Array.isArray(features) && Array.isArray(features[0]) ? features : [features];
	const wrong = rows.findIndex((row) => !Array.isArray(row) || row.length !== rows[0].length);
	if (wrong >= 0) throw new InputError(`Row ${wrong + 1} of the JSON must be an array of ${FEATURES} numbers.`);
	if (Object.keys(others).length) throw new InputError(`The JSON must have “features” only, not ${shortened(Object.keys(others)[0])}.`);
	const values = Float64Array.from(rows.flat(), (cell) => (typeof cell === "number" ? cell : NaN));
	return fromArray({ values, rows: rows.length, columns: rows[0].length });
}

async function readTable(text, pause) {
	const separator = separatorOf(text);
	const records = recordsOf(text, separator);
	const commas = separator !== ",";
	const { names, words, numbers, isWithPlace } = columnsOf(records, commas);
	const rows = names ? records.slice(1) : records;
	const values = new Float64Array(rows.length * FEATURES);
	const errors = [];
	for (const [index, cells] of rows.entries()) {
		if (errors.length > MAX_ERRORS) break;
		if (index % ROWS_AT_A_TIME === 0) await pause(index, rows.length);
		const row = names ? `Row ${index + 1} (line ${index + 2})` : `Row ${index + 1}`;
		if (cells.length !== records[0].length) errors.push(`${row} has ${cells.length} columns, and the first line ${records[0].length}`);
		else numbers.forEach((column, feature) => {
			const wrong = whatIsWrong(cells[column], commas);
			if (wrong) errors.push(`${row}, column ${column + 1}, ${shortened(cells[column])}, ${wrong}`);
			values[index * FEATURES + feature] = toNumber(cells[column], commas);
		});
	}
	raise(errors);
	const note = [names && "The first line was read as names.", isWithPlace && ASIDE].filter(Boolean).join(" ");
	const labels = rows.map((cells) => words.map((column) => cells[column]));
	return new Rows(values, note, words.map((column) => names?.[column].trim() || `column ${column + 1}`), labels);
}

function fromArray({ values, rows, columns }) {
	if (!rows) throw new InputError("The array has no row.");
	if (!WIDTHS.includes(columns)) throw new InputError(`A row must have ${FEATURES} numbers, not ${columns}.`);
	const features = new Float64Array(rows * FEATURES);
	const errors = [];
	for (let index = 0; index < features.length && errors.length <= MAX_ERRORS; index++) {
		const [row, column] = [Math.floor(index / FEATURES), index % FEATURES];
		features[index] = values[row * columns + column];
		if (!(Math.abs(features[index]) <= BOUND)) errors.push(`Row ${row + 1}, column ${column + 1}, must be a number from −${BOUND} to ${BOUND}`);
	}
	raise(errors);
	return new Rows(features, columns > FEATURES ? ASIDE : "");
}

function raise(errors) {
	const told = errors.slice(0, MAX_ERRORS);
	if (told.length) throw new InputError(`${told.join(". ")}${told.length < errors.length ? ", and more" : ""}.`);
}
