// Elements of the page. Text is only ever put in as text.

/** An HTML element with these attributes and children; a child is an element or text, or nothing. */
export function html(name, attributes = {}, ...children) {
	return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
	return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

export const p = (...children) => html("p", {}, ...children);
export const strong = (text) => html("strong", {}, text);
export const button = (text, onclick, attributes) => html("button", { type: "button", onclick, ...attributes }, text);

function filled(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name.startsWith("--")) element.style.setProperty(name, value);
		else if (value) element.setAttribute(name, value);
	}
	element.append(...children.flat().filter((child) => child));
	return element;
}

export const byId = (id) => document.getElementById(id);

export function announce(text) {
	byId("status").textContent = text;
}

const WHOLE = new Intl.NumberFormat("en");

export const whole = (number) => WHOLE.format(Math.round(number));
export const pieces = (number) => `${whole(number)} piece${number === 1 ? "" : "s"}`;

/** A share as a person would say it: never 0 % or 100 % of what is not quite so. */
export function percent(share) {
	if (share > 0 && share < 0.005) return "under 1\xa0%";
	if (share < 1 && share >= 0.995) return "over 99\xa0%";
	return `${Math.round(100 * share)}\xa0%`;
}

export const chance = (probability) => percent(Math.min(Math.max(probability, 1e-9), 1 - 1e-9));

export function degrees({ latitude, longitude }) {
	const side = (value, positive, negative) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? negative : positive}`;
	return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

export const nameOf = (place) => place.country || degrees(place);
