// Elements of the page. Text is only ever put in as text.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with these attributes and children; a child is an element or text, or nothing. */
export function html(name, attributes = {}, ...children) {
	return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
	return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name.startsWith("--")) element.style.setProperty(name, value);
		else if (value === true) element.setAttribute(name, "");
		else if (value !== false && value != null) element.setAttribute(name, value);
	}
	element.append(...children.flat().filter((child) => child));
	return element;
}

export const byId = (id) => document.getElementById(id);

/** Tells those who do not see the page what has happened. */
export function announce(text) {
	byId("status").textContent = text;
}

const WHOLE = new Intl.NumberFormat("en");
const DECIMALS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const whole = (number) => WHOLE.format(Math.round(number));
export const decimals = (number) => DECIMALS.format(number).replace("-", "−");
export const plural = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;

/** A probability or share as a person would say it: never 0 % or 100 % of what is not quite so. */
export function percent(share) {
	if (share > 0 && share < 0.005) return "under 1 %";
	if (share < 1 && share > 0.995) return "over 99 %";
	return `${Math.round(100 * share)} %`;
}

/** A point on Earth in words. */
export function degrees(latitude, longitude) {
	const side = (value, positive, negative) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? negative : positive}`;
	return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

/** The name of a place: its country, or where it is. */
export const nameOf = (place) => place.country ?? degrees(place.latitude, place.longitude);
