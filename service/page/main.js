// The page, put together. Its address says what it shows: a piece by its features, or the genres.

import { askAboutPiece, description, useKey } from "./api.js";
import { announce, button, byId, html, whole } from "./elements.js";
import { Answers, askAboutRows, showAnswers, showProgress } from "./file.js";
import { showGenres } from "./genres.js";
import { loadLand, worldMap } from "./map.js";
import { pieceMap, showPiece } from "./piece.js";
import { InputError } from "./errors.js";
import { readFile, readText } from "./reading.js";

const PIECE = "#piece=";
const GENRES = "#genres";
const tabs = ["music", "genres"];
const field = byId("features");
let work = new AbortController(); // what is under way; new work ends it
let again = null; // what to do once there is a key
let shown = ""; // the address of the piece that is in sight or will be
let tableId = Date.now(); // of the table that is kept; the history's entries that show it have it in their state

/** Ends what is under way, does this instead, and says of a failure what it is. */
async function run(task) {
	work.abort();
	work = new AbortController();
	const { signal } = work;
	refuse("");
	byId("problem").hidden = byId("key-form").hidden = true;
	byId("piece").setAttribute("aria-busy", "true");
	await task(signal).catch((error) => signal.aborted || explain(error, task));
	if (work.signal !== signal) return;
	byId("piece").removeAttribute("aria-busy");
	byId("progress").hidden = true;
	const titles = [byId("piece-title"), byId("table-title"), byId("choose")];
	if (document.activeElement === document.body) titles.find((each) => each?.checkVisibility())?.focus({ preventScroll: true });
}

function explain(error, task) {
	byId("piece").hidden = true; // it is not of what was asked
	if (task !== showAddress) shown = "";
	if (error instanceof InputError) return refuse(error.message, error.at, error.file);
	if (error.status === 401) {
		again = task;
		byId("key-reason").textContent = error.message;
		byId("key-form").hidden = false;
		return byId("key").focus();
	}
	byId("problem").textContent = error.message;
	byId("problem").hidden = false;
}

/** Says beside the field what is wrong with it or with a file; an empty message takes that back. */
function refuse(message, at, file) {
	byId("input-error").textContent = file ? `${file}: ${message}` : message;
	field.setAttribute("aria-invalid", String(message !== "" && !file));
	if (!at || file) return;
	field.focus();
	field.setSelectionRange(...at);
}

function hidePiece() {
	document.title = document.querySelector("h1").textContent;
	byId("piece").hidden = true;
	shown = "";
}


function goTo(fragment, state = null) {
	if (state || location.hash !== fragment) history.pushState(state, "", fragment || location.pathname + location.search);
}

const pauseOf = (signal) => async (done, all) => {
	signal.throwIfAborted();
	showProgress("Read", done, all);
	await new Promise((resume) => setTimeout(resume));
	signal.throwIfAborted();
};

function visit(features, state = null) {
	goTo(PIECE + features.join(), state);
	shown = "";
	follow();
}

/** Shows what was read: one piece by its address, more as a table, even if not all were answered. */
async function take(name, rows, signal) {
	signal.throwIfAborted();
	if (rows.count === 1 && !rows.names.length) {
		return visit(rows.row(0), rows.note && { note: rows.note });
	}
	const answers = new Answers();
	await askAboutRows(rows, answers, signal).finally(async () => {
		if (!answers.count || work.signal !== signal) return;
		const { genres } = await description(answers.columns.model_version.at(-1));
		showAnswers(name, rows, answers, genres, (features, row) => visit(features, { table: tableId, name: row }));
		select("music");
		hidePiece();
		goTo("", { table: ++tableId });
		byId("table").hidden = false;
		byId("table-title").focus();
	});
}

/** Shows the piece that the address names, in the field or beside the table. */
async function showAddress(signal) {
	const { hash } = location;
	const numbers = new URLSearchParams(hash.slice(1)).get("piece");
	const { table, name = "", note = "" } = history.state ?? {};
	if (numbers === null) return;
	shown = hash;
	const isOfTable = table === tableId;
	if (!isOfTable) field.value = numbers;
	const rows = await readText(numbers);
	if (rows.count > 1) throw new InputError(`The address has ${rows.count} pieces, and should have one.`);
	if (!isOfTable) field.value = [...rows.row(0)].join(", ");
	const replies = await askAboutPiece(rows.row(0), signal);
	signal.throwIfAborted();
	showPiece(replies, name, note);
	if (isOfTable) byId("row-map").replaceChildren(pieceMap(replies, 0), html("figcaption", {}, name));
	document.querySelector(isOfTable ? "#row-map" : "#piece .wide").scrollIntoView({ block: "nearest" });
	document.title = byId("piece-title").textContent;
	announce(document.title);
}

function open(file) {
	if (location.hash === GENRES) goTo(shown);
	select("music");
	run(async (signal) => {
		const rows = await readFile(file, pauseOf(signal)).catch((error) => {
			throw Object.assign(error, { file: file.name });
		});
		await take(file.name, rows, signal);
	});
}

const showExample = ({ example }) => visit(example);

/** Shows what the address names. */
function follow() {
	const { hash } = location;
	select(hash === GENRES ? "genres" : "music");
	if (hash === GENRES) return showGenres(showExample).catch(explain);
	byId("table").hidden = history.state?.table !== tableId;
	if (!hash) byId("row-map")?.replaceChildren();
	if (hash === shown) return;
	if (hash.startsWith(PIECE)) return run(showAddress);
	run(async () => hidePiece());
}

function select(name) {
	for (const tab of tabs) {
		byId(`${tab}-tab`).setAttribute("aria-selected", String(tab === name));
		byId(`${tab}-tab`).tabIndex = tab === name ? 0 : -1;
		byId(tab).hidden = tab !== name;
	}
}

function openTab(name) {
	if (name === "genres") goTo(GENRES, history.state);
	else if (location.hash === GENRES) goTo(shown, history.state);
	follow();
	byId(`${name}-tab`).focus();
}

async function showStart() {
	const { genres, manifest } = await description();
	byId("examples").append(...genres.map((genre) => button(`genre ${genre.genre}`, () => showExample(genre))));
	byId("examples").hidden = false;
	const { rows, places } = manifest;
	const words = `The ${places.length} places that the models know; a circle’s area is the share of their ${whole(rows)} pieces.`;
	byId("start").append(worldMap({ places, label: words }), html("figcaption", {}, words));
}

const on = (id, kind, listener) => byId(id).addEventListener(kind, listener);

on("input", "submit", (event) => {
	event.preventDefault();
	run(async (signal) => take("Your rows", await readText(field.value, pauseOf(signal)), signal));
});
on("features", "input", () => refuse(""));
on("choose", "click", () => byId("file").click());
on("file", "change", ({ target }) => {
	if (target.files.length) open(target.files[0]);
	target.value = ""; // so that the same file can be opened again
});
on("cancel", "click", () => {
	work.abort();
	byId("choose").focus();
	announce("Cancelled.");
});
on("key-form", "submit", (event) => {
	event.preventDefault();
	useKey(byId("key").value);
	byId("key").value = "";
	run(again);
});
for (const name of tabs) {
	const other = tabs.find((each) => each !== name);
	on(`${name}-tab`, "click", () => openTab(name));
	on(`${name}-tab`, "keydown", ({ key }) => /^Arrow(Left|Right)$/.test(key) && openTab(other));
}
for (const kind of ["dragover", "dragleave", "drop"]) {
	document.addEventListener(kind, (event) => {
		if (!event.dataTransfer.types.includes("Files")) return; // words may be dropped into the field
		event.preventDefault();
		document.body.classList.toggle("dropping", kind === "dragover");
		if (kind === "drop") open(event.dataTransfer.files[0]);
	});
}
addEventListener("popstate", follow); // also when the address is changed by hand

loadLand().catch(explain);
showStart().catch(explain);
follow();
