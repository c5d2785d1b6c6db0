// Numbers as people write them.

export const FEATURES = 68;
export const WIDTHS = [FEATURES, FEATURES + 2]; // a line of the published data set ends in latitude and longitude
export const BOUND = 1000;
export const NO_NUMBER = "is not a number";

const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
const NOT_FINITE = /^[-+]?(nan|inf(inity)?)$/i;

/** The number of a text; NaN if it is none. `commas` says whether they are decimal. */
export function toNumber(text, commas = false) {
	const plain = text.trim().replace("−", "-");
	const pointed = commas ? plain.replace(",", ".") : plain;
	return NUMBER.test(pointed) ? Number(pointed) : NaN;
}

export function whatIsWrong(text, commas) {
	if (!text.trim()) return "is empty";
	if (NOT_FINITE.test(text.trim())) return "must be a finite number";
	const number = toNumber(text, commas);
	if (Number.isNaN(number)) return NO_NUMBER;
	return Math.abs(number) <= BOUND ? null : `must be from −${BOUND} to ${BOUND}`;
}

export const shortened = (text) => `“${text.length > 30 ? `${text.slice(0, 30)}…` : text}”`;
