// What people have, read to rows of 68 numbers: typed or pasted text, and files.

import { isNpy, readNpy } from "./npy.js";

export const FEATURES = 68;
const BOUND = 1000;
const MAX_FILE_MIB = 128;

const WIDTHS = [FEATURES, FEATURES + 2]; // a line of the published data set ends in latitude and longitude
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const NOT_FINITE = /^[-+]?(nan|inf(inity)?)$/i;
const MAX_ERRORS = 10;
const ROWS_AT_A_TIME = 1000;

/** Input that cannot be taken: the message says what to mend, and `at` where in the text, from and to, if known. */
export class InputError extends Error {
	constructor(message, at = null) {
		super(message);
		this.at = at;
	}
}

/** Rows as they were read: 68 `values` each; `labels` are the cells of columns of text, which have `names`. */
class Rows {
	constructor(values, width, names = [], labels = []) {
		const note = width > FEATURES ? "The last two of the 70 numbers, the place in the published data, are left aside." : "";
		Object.assign(this, { values, names, labels, note, count: values.length / FEATURES });
	}

	row(index) {
		return this.values.subarray(index * FEATURES, (index + 1) * FEATURES);
	}
}

/** Reads text. `pause(done, all)` is awaited now and then, to show how far it is, and may throw to end it. */
export async function readText(text, pause = () => {}) {
	if (!text.trim()) throw new InputError(`There is nothing yet: ${FEATURES} numbers are wanted.`);
	if (/^\s*[[{]/.test(text)) return readJson(text);
	const lines = text.split(/\r\n?|\n/).filter((line) => line.trim());
	const isTable = lines.length > 1 && lines.some((line) => tokensOf(line).length > FEATURES / 2);
	return isTable ? readTable(lines, pause) : readPiece(text);
}

/** Reads a file: a NumPy array, or text. */
export async function readFile(file, pause) {
	if (file.size > MAX_FILE_MIB * 2 ** 20) {
		throw new InputError(`The file is larger than ${MAX_FILE_MIB} MiB: send it from a program.`);
	}
	const bytes = new Uint8Array(await file.arrayBuffer());
	if (isNpy(bytes)) return fromArray(readNpy(bytes));
	let text;
	try {
		text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
	} catch {
		throw new InputError("The file is neither text in UTF-8 nor .npy. From a spreadsheet, save it as CSV in UTF-8.");
	}
	return readText(text, pause);
}

function readPiece(text, offset = 0) {
	const tokens = tokensOf(text).map(({ 0: token, index }) => ({ token, at: [offset + index, offset + index + token.length] }));
	tokens.forEach(({ token, at }, index) => {
		const wrong = whatIsWrong(token);
		if (wrong) throw new InputError(`Number ${index + 1}, “${shortened(token)}”, ${wrong}.`, at);
	});
	if (!WIDTHS.includes(tokens.length)) throw new InputError(`There must be ${FEATURES} numbers, not ${tokens.length}.`);
	const values = tokens.slice(0, FEATURES).map(({ token }) => toNumber(token));
	return new Rows(Float64Array.from(values), tokens.length);
}

/** The words of a text that should be numbers. A comma parts them, unless something else does and no point is seen. */
function tokensOf(text) {
	const [parted, decimal] = [/[^,;\s]+/g, /[^;\s]+/g].map((word) => [...text.matchAll(word)]);
	const fits = (words) => WIDTHS.includes(words.length);
	return fits(decimal) && !fits(parted) && !text.includes(".") ? decimal : parted;
}

function readJson(text) {
	let document;
	try {
		document = JSON.parse(text);
	} catch (error) {
		const numbers = /^(\s*(?:\{\s*"features"\s*:\s*)?\[)([^[\]]*)\]\s*\}?\s*$/.exec(text);
		if (numbers) return readPiece(numbers[2], numbers[1].length);
		throw new InputError(`This is not JSON: ${error.message}.`);
	}
	const features = Array.isArray(document) ? document : document.features;
	const rows = Array.isArray(features?.[0]) ? features : [features];
	const wrong = rows.findIndex((row) => row?.length !== rows[0]?.length || !Array.isArray(row));
	if (wrong >= 0) throw new InputError(`Row ${wrong + 1} of the JSON must be an array of ${FEATURES} numbers.`);
	const values = Float64Array.from(rows.flat(), (cell) => (typeof cell === "number" ? cell : NaN));
	return fromArray({ values, rows: rows.length, columns: rows[0].length });
}

async function readTable(lines, pause) {
	const separator = ["\t", ";", ","].find((each) => lines[0].includes(each)) ?? " ";
	const first = cellsOf(lines[0], separator);
	const header = isHeader(first) ? first : null;
	const body = header ? lines.slice(1) : lines;
	if (!body.length) throw new InputError("There is a line of names, but no row of numbers.");
	const { numbers, texts, width } = columnsOf(cellsOf(body[0], separator));
	const values = new Float64Array(body.length * FEATURES);
	const labels = [];
	const errors = new Errors();
	for (let index = 0; index < body.length; index++) {
		if (index % ROWS_AT_A_TIME === 0) await pause(index, body.length);
		const cells = cellsOf(body[index], separator);
		labels.push(texts.map((column) => cells[column]));
		if (cells.length !== width) {
			errors.add(`Row ${index + 1} has ${cells.length} columns, and the first row ${width}`);
			continue;
		}
		numbers.forEach((column, feature) => {
			const wrong = whatIsWrong(cells[column]);
			if (wrong) errors.add(`Row ${index + 1}, column ${column + 1}, “${shortened(cells[column])}”, ${wrong}`);
			else values[index * FEATURES + feature] = toNumber(cells[column]);
		});
	}
	errors.raise();
	const names = texts.map((column) => header?.[column]?.trim() || `column ${column + 1}`);
	return new Rows(values, width - texts.length, names, labels);
}

/** Whether a first line holds names: all differ, and numbers, if there are any, only count up. */
function isHeader(cells) {
	const numbers = cells.map(toNumber).filter((number) => !Number.isNaN(number));
	const counts = (from) => numbers.every((number, index) => number === index + from);
	return new Set(cells).size === cells.length && (counts(0) || counts(1));
}

/** Which columns hold the features, and which hold words about the piece, by the first row. */
function columnsOf(cells) {
	const isText = (cell) => cell.trim() && whatIsWrong(cell) === NO_NUMBER;
	const texts = [...cells.keys()].filter((column) => isText(cells[column]));
	const numbers = [...cells.keys()].filter((column) => !isText(cells[column]));
	if (!WIDTHS.includes(numbers.length)) {
		const words = texts.map((column) => `column ${column + 1}, “${shortened(cells[column])}”, is text`);
		const hint = numbers.length === FEATURES + 1 ? ["is one of them an index? Leave it out"] : [];
		const more = [...hint, ...words].slice(0, 3).join("; ");
		throw new InputError(`Row 1 must have ${FEATURES} numbers, not ${numbers.length}${more && ` (${more})`}.`);
	}
	return { numbers: numbers.slice(0, FEATURES), texts, width: cells.length };
}

/** The rows of an array that was read whole. */
function fromArray({ values, rows, columns }) {
	if (!rows) throw new InputError("The array has no row.");
	if (!WIDTHS.includes(columns)) throw new InputError(`A row must have ${FEATURES} numbers, not ${columns}.`);
	const features = new Float64Array(rows * FEATURES);
	const errors = new Errors();
	for (let index = 0; index < features.length; index++) {
		const [row, column] = [Math.floor(index / FEATURES), index % FEATURES];
		features[index] = values[row * columns + column];
		if (!(Math.abs(features[index]) <= BOUND)) {
			errors.add(`Row ${row + 1}, column ${column + 1}, must be a number from −${BOUND} to ${BOUND}`);
		}
	}
	errors.raise();
	return new Rows(features, columns);
}

/** The first errors of many. */
class Errors {
	#messages = [];

	add(message) {
		if (this.#messages.length <= MAX_ERRORS) this.#messages.push(message);
	}

	raise() {
		const told = this.#messages.slice(0, MAX_ERRORS);
		if (told.length) throw new InputError(`${told.join(". ")}${told.length < this.#messages.length ? ", and more" : ""}.`);
	}
}

const NO_NUMBER = "is not a number";

function whatIsWrong(cell) {
	const text = cell.trim();
	if (!text) return "is empty";
	if (NOT_FINITE.test(text)) return "must be a finite number";
	const number = toNumber(text);
	if (Number.isNaN(number)) return NO_NUMBER;
	return Math.abs(number) <= BOUND ? null : `must be from −${BOUND} to ${BOUND}`;
}

/** The number of a text, which may have a decimal comma; NaN if it is none. */
function toNumber(text) {
	const pointed = text.trim().replace(",", ".");
	return NUMBER.test(pointed) ? Number(pointed) : NaN;
}

function cellsOf(line, separator) {
	if (separator === " ") return line.trim().split(/\s+/);
	if (!line.includes('"')) return line.split(separator);
	const cells = [""];
	let quoted = false;
	for (let index = 0; index < line.length; index++) {
		const letter = line[index];
		if (letter === '"' && quoted && line[index + 1] === '"') cells[cells.length - 1] += line[++index];
		else if (letter === '"') quoted = !quoted;
		else if (letter === separator && !quoted) cells.push("");
		else cells[cells.length - 1] += letter;
	}
	return cells;
}

const shortened = (text) => (text.length > 30 ? `${text.slice(0, 30)}…` : text);
