// The page, put together. Its address says what it shows: a piece by its features, or the genres.

import { askAboutPiece, description, Refusal, useKey } from "./api.js";
import { announce, byId, html, whole } from "./elements.js";
import { CANCELLED, progressOf, showRows } from "./file.js";
import { showGenres } from "./genres.js";
import { loadLand, worldMap } from "./map.js";
import { showPiece } from "./piece.js";
import { InputError, readFile, readText } from "./reading.js";

const PIECE = "#piece=";
const GENRES = "#genres";
const tabs = ["music", "genres"];
const field = byId("features");
let work = new AbortController(); // what is under way; new work ends it
let again = null; // what to do once there is a key
let shown = ""; // the address of the piece in sight

/** Ends what is under way, does this instead, and says of a failure what it is. */
async function run(task) {
	work.abort();
	work = new AbortController();
	const { signal } = work;
	refuse("");
	byId("problem").hidden = byId("key-form").hidden = true;
	byId("music").setAttribute("aria-busy", "true");
	try {
		await task(signal);
	} catch (error) {
		if (!signal.aborted) explain(error, task);
	}
	if (work.signal !== signal) return;
	byId("music").removeAttribute("aria-busy");
	if (byId("progress")) byId("table").hidden = true; // nothing came of it
}

function explain(error, task) {
	if (error instanceof InputError) return refuse(error.message, error.at);
	if (!(error instanceof Refusal)) throw error;
	if (error.status === 401) {
		again = task;
		byId("key-reason").textContent = error.message;
		byId("key-form").hidden = false;
		return byId("key").focus();
	}
	const errors = error.errors.map(({ pointer, message }) => html("li", {}, `${pointer} ${message}`));
	byId("problem").replaceChildren(html("p", {}, error.message), html("ul", {}, errors));
	byId("problem").hidden = false;
}

/** Says beside the field what is wrong with the input, and marks it there; nothing is wrong if the message is empty. */
function refuse(message, at = null) {
	byId("input-error").textContent = message;
	field.toggleAttribute("aria-invalid", message !== "");
	if (!at) return;
	field.focus();
	field.setSelectionRange(...at);
}

/** Makes this the page's address; without a fragment it is that of the page alone. */
function goTo(fragment) {
	if (location.hash !== fragment) history.pushState(null, "", fragment || location.pathname + location.search);
}

/** Shows the rows that were read: one piece by its address, more as a table. */
async function take(name, rows, step, signal) {
	if (rows.count === 1 && !rows.names.length) {
		goTo(PIECE + rows.row(0).join());
		await showAddress(signal);
	} else {
		byId("piece").hidden = true;
		goTo((shown = ""));
		await showRows(name, rows, step ?? progressOf(name, cancel), signal, showRow);
		byId("table-title").focus();
	}
}

/** Shows the piece that the address names, its numbers in the field. */
async function showAddress(signal) {
	byId("table").hidden = true;
	const numbers = new URLSearchParams(location.hash.slice(1)).get("piece");
	const typed = await readText(field.value).catch(() => null);
	if (typed?.count !== 1 || typed.row(0).join() !== numbers) field.value = numbers.replaceAll(",", ", ");
	const rows = await readText(field.value);
	await show(rows.row(0), "", rows.note, signal);
}

/** Shows a row of the table, which stays. */
function showRow(features, name) {
	history.replaceState(null, "", PIECE + features.join());
	run((signal) => show(features, name, "", signal));
}

async function show(features, name, note, signal) {
	const replies = await askAboutPiece(features, signal);
	signal.throwIfAborted();
	shown = location.hash;
	showPiece(features, replies, name, note);
	document.querySelector("#piece .wide").scrollIntoView({ block: "nearest" });
	announce(byId("piece-title").textContent);
}

function cancel() {
	work.abort(CANCELLED);
	announce("Cancelled.");
}

function open(file) {
	if (location.hash === GENRES) goTo(shown);
	select("music");
	run(async (signal) => {
		const step = progressOf(file.name, cancel);
		byId("piece").hidden = true;
		const rows = await readFile(file, async (done, all) => {
			step(done, all, "Read");
			await new Promise((resume) => setTimeout(resume));
			signal.throwIfAborted();
		});
		await take(file.name, rows, step, signal);
	});
}

function showExample({ example }) {
	field.value = example.join(", ");
	select("music");
	run(async (signal) => take("", await readText(field.value), null, signal));
}

/** Follows the address: at the start, by a link, back and forth, and from tab to tab. */
function follow() {
	const { hash } = location;
	select(hash === GENRES ? "genres" : "music");
	if (hash === GENRES) run(() => showGenres(showExample));
	else if (hash.startsWith(PIECE) && hash !== shown) run(showAddress);
	else if (hash !== shown) byId("piece").hidden = true;
}

function select(name) {
	for (const tab of tabs) {
		byId(`${tab}-tab`).setAttribute("aria-selected", String(tab === name));
		byId(`${tab}-tab`).tabIndex = tab === name ? 0 : -1;
		byId(tab).hidden = tab !== name;
	}
}

function openTab(name) {
	goTo(name === "genres" ? GENRES : shown);
	follow();
	byId(`${name}-tab`).focus();
}

async function showStart() {
	const { genres, manifest } = await description();
	byId("examples").append(...genres.map((genre) =>
		html("button", { type: "button", "aria-label": `Example of genre ${genre.genre}`, onclick: () => showExample(genre) }, `${genre.genre}`)));
	byId("examples").hidden = false;
	const { rows, places } = manifest;
	const words = `The ${places.length} places that the models know; a circle’s area is the share of their ${whole(rows)} pieces.`;
	byId("start").append(worldMap({ places, label: words }), html("figcaption", {}, words));
}

byId("input").addEventListener("submit", (event) => {
	event.preventDefault();
	run(async (signal) => take("Your rows", await readText(field.value), null, signal));
});
field.addEventListener("input", () => refuse(""));
byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", ({ target }) => {
	if (target.files.length) open(target.files[0]);
	target.value = ""; // so that the same file can be opened again
});
byId("key-form").addEventListener("submit", (event) => {
	event.preventDefault();
	useKey(byId("key").value);
	byId("key").value = "";
	run(again);
});
for (const name of tabs) {
	const other = tabs.find((each) => each !== name);
	byId(`${name}-tab`).addEventListener("click", () => openTab(name));
	byId(`${name}-tab`).addEventListener("keydown", ({ key }) => /^Arrow(Left|Right)$/.test(key) && openTab(other));
}
for (const kind of ["dragover", "dragleave", "drop"]) {
	document.addEventListener(kind, (event) => {
		event.preventDefault();
		document.body.classList.toggle("dropping", kind === "dragover");
		const [file] = event.dataTransfer.files;
		if (kind === "drop" && file) open(file);
	});
}
addEventListener("popstate", follow); // also when the address is changed by hand

loadLand();
run(showStart);
follow();
