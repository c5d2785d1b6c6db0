// Tables of text: CSV in all its forms.

import { InputError } from "./errors.js";
import { FEATURES, NO_NUMBER, shortened, toNumber, WIDTHS, whatIsWrong } from "./numbers.js";

const ROWS_LOOKED_AT = 100; // to tell columns of words from columns of numbers
const ID = /^$|(\b|_)(id|index|no|nr|number|row|name|title)\b|^unnamed/i;
const PLACE = /^\W*(lat|lon|lng)/i;
const MISSING = /^\s*(#.*|n\/?a|null|none|[^\p{L}\p{N}]+)\s*$/iu; // what programs write where they have no number

/** The cells of all lines that are not blank. A quote holds a whole cell, with its lines. */
export function recordsOf(text, separator) {
	const isBlank = (record) => record.every((cell) => !cell.trim());
	if (separator === " " || !text.includes('"')) {
		const end = separator === " " ? /\s+/ : separator;
		return text.split(/\r\n?|\n/).map((line) => line.replace(/^ +| +$/g, "").split(end)).filter((each) => !isBlank(each));
	}
	const cell = new RegExp(`(?: *"((?:[^"]|"")*)" *|([^${separator}\\r\\n]*))(${separator}|\\r\\n?|\\n|$)`, "gy");
	const records = [[]];
	for (const [whole, quoted, plain, end] of text.matchAll(cell)) {
		if (!whole && !records.at(-1).length) break;
		records.at(-1).push(quoted?.replaceAll('""', '"') ?? plain);
		if (end !== separator) records.push([]);
	}
	return records.filter((each) => !isBlank(each));
}

/** The separator that gives the first two lines as many cells, and enough. */
export function separatorOf(text) {
	const start = text.split(/\r\n?|\n/, 20).join("\n");
	const fits = (separator) => {
		const [first, second = first] = recordsOf(start, separator);
		return first.length >= FEATURES && first.length === second.length;
	};
	return ["\t", ";", ",", " "].find(fits) ?? ",";
}

/** The names of the columns, if there are any, and which hold features, and which words. */
export function columnsOf(records, commas) {
	const names = isHeader(records[0], commas) ? records[0] : null;
	const rows = records.slice(names ? 1 : 0, ROWS_LOOKED_AT);
	if (!rows.length) throw new InputError("There is a line of names, but no row of numbers.");
	const all = [...rows[0].keys()];
	const most = (column, test) => rows.filter((row) => test(row[column] ?? "")).length > rows.length / 2;
	const words = all.filter((column) => most(column, (cell) => whatIsWrong(cell, commas) === NO_NUMBER && !MISSING.test(cell)));
	let numbers = all.filter((column) => !words.includes(column));
	const counts = ([cell], index) => rows[1] && toNumber(cell, commas) === index + toNumber(rows[0][0], commas);
	if (numbers[0] === 0 && (names ? ID.test(names[0]) : numbers.length > FEATURES && rows.every(counts))) words.unshift(numbers.shift());
	if (numbers.length > FEATURES && !names?.[numbers.at(-1)]?.trim() && most(numbers.at(-1), (cell) => !cell.trim())) numbers.pop();
	const places = numbers.filter((column) => PLACE.test(names?.[column] ?? ""));
	const isWithPlace = numbers.length === WIDTHS[1] && (!names || places.length === 2);
	if (isWithPlace) numbers = names ? numbers.filter((column) => !places.includes(column)) : numbers.slice(0, FEATURES);
	if (numbers.length !== FEATURES) {
		const told = words.length ? `; column ${words[0] + 1}, ${shortened(rows[0][words[0]])}, is text` : "";
		throw new InputError(`There must be ${FEATURES} columns of numbers, not ${numbers.length}${told}. Leave out what is no feature, or name it id, latitude or longitude.`);
	}
	return { names, words, numbers, isWithPlace };
}

/** Whether a first line holds names: all differ, and what looks like a number only counts up. */
function isHeader(cells, commas) {
	const numbers = cells.map((cell) => toNumber(cell, commas)).filter((number) => !Number.isNaN(number));
	const counts = (from) => numbers.every((number, index) => number === index + from);
	const names = cells.filter((cell) => Number.isNaN(toNumber(cell, commas)));
	const isNamed = names.every((name) => !/^[-+−.,]*\d/.test(name.trim()));
	return new Set(cells).size === cells.length && isNamed && (counts(0) || counts(1));
}
