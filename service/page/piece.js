// What is shown of one piece.

import { NETWORKS, PATHS } from "./api.js";
import { bars, card, warning } from "./charts.js";
import { byId, decimals, degrees, html, nameOf, percent, plural, whole } from "./elements.js";
import { sideOf, worldMap } from "./map.js";

const LISTED = 5;
const PLACES_LISTED = 8;
const STANDS_OUT = 0.25; // a probability from which a place is named without reserve
const NETWORK_WORDS = { places: "by places (the best)", hidden: "one hidden layer", simple: "a single layer" };

/** Shows what the service says of a piece, under the name of its row if it is one of a table, and with a note. */
export function showPiece(features, replies, name, note) {
	const { genre, origin } = replies;
	const places = origin.places.map((place) => ({ ...place, share: place.probability }));
	const section = byId("piece");
	section.replaceChildren(
		html("h2", { id: "piece-title", tabindex: "-1" }, name && `${name}: `, title(places[0])),
		html("p", { class: "lead" }, lead(places, replies)),
		html("p", {}, note),
		warning(genre),
		html("div", { class: "columns result" },
			mapCard(places, origin),
			placesCard(places, origin),
			northCard(replies),
			genreCard(replies),
			genreOriginCard(replies)),
		commands(features, origin.model_version),
	);
	section.hidden = false;
}

const title = (likeliest) => `Most like the music of ${nameOf(likeliest).replace(/^United/, "the $&")}`;

function lead([likeliest, second], { north, genre }) {
	const words = likeliest.probability < STANDS_OUT ? "No place stands out" : "Among the places that the models know";
	const [most, next] = [likeliest, second].map((place) => place && `${nameOf(place)} has ${percent(place.probability)}`);
	return `${words}: ${most}${next ? `, ${next}` : ""}. North of 20° N: ${percent(north[0].probability)}. Genre ${genre.genre}.`;
}

function mapCard(places, origin) {
	const likeliest = places.slice(0, LISTED).map((place) => `${nameOf(place)} ${percent(place.share)}`).join(", ");
	const label = `World map of the places it may come from. The likeliest: ${likeliest}.`;
	return html("figure", { class: "card wide" },
		worldMap({ places, point: origin, errorKm: origin.expected_error_km, label }),
		html("figcaption", {},
			"A circle’s area is the probability of its place, ",
			html("span", { class: "key north" }, "north"), " or ", html("span", { class: "key south" }, "south"),
			" of the line of 20° N. The cross is the best single point, and the dashed ring around it the error to expect."));
}

function placesCard(places, origin) {
	const row = (place) =>
		({ label: nameOf(place), share: place.share / places[0].share, value: percent(place.share), kind: sideOf(place) });
	return card("Where it may come from",
		html("p", {}, `How likely each of the ${places.length} places is that the models know. They can name no other.`),
		bars("The likeliest places, and their probabilities", places.slice(0, PLACES_LISTED).map(row)),
		html("details", {},
			html("summary", {}, `All ${places.length} places`),
			bars("All places, and their probabilities", places.map(row))),
		html("p", {}, html("strong", {}, degrees(origin.latitude, origin.longitude)),
			` is the best single point, with the least error to expect: ${whole(origin.expected_error_km)} km. It may lie between likely places, where nobody is.`));
}

function northCard({ north, manifest }) {
	const [best] = north;
	const rows = north.map(({ network, probability: share, north_of_20: isNorth }) =>
		({ label: NETWORK_WORDS[network], share, value: percent(share), kind: isNorth ? "north" : "south" }));
	const [side, share] = best.north_of_20 ? ["north", best.probability] : ["south", 1 - best.probability];
	return card("North of 20° N?",
		bars("The probability of north of 20° N, by each network", rows, { className: "halved" }),
		html("p", {}, "The probability of north by three networks; beyond the middle, north is likelier. It is calibrated: of all ",
			`pieces from these places for which the first says ${side} with ${percent(share)}, about that share is from there.`),
		html("p", { class: "honest" }, unseen(manifest)));
}

/** How good north or south is for a place that training did not have, as it was measured. */
function unseen({ accuracy_unseen_places: measured = {} }) {
	const start = "For music from a place that the models have not seen, north or south is little better than a guess";
	if (measured.majority === undefined) return `${start}; for these models it was not measured how much better.`;
	const networks = NETWORKS.map((network) => percent(measured[network])).join(", ");
	return `${start}: of pieces from places left out of training, the three told ${networks} rightly, and always saying the commoner side ${percent(measured.majority)}.`;
}

function genreCard({ genre, genres }) {
	const farthest = Math.max(...genre.distances);
	const rows = genre.distances.map((distance, number) =>
		({ label: `genre ${number}`, share: distance / farthest, value: decimals(distance), current: number === genre.genre }));
	return card(`Genre ${genre.genre}`,
		html("p", {}, html("strong", {}, `Typicality ${percent(genre.typicality)}: `),
			`${percent(genre.typicality)} of the ${plural(genres[genre.genre]?.size ?? 0, "piece", "pieces")} of genre ${genre.genre} lie farther from its middle than this one.`),
		bars("The distance to the middle of each genre", rows),
		html("p", {}, "The distance to the middle of each genre, in standard deviations of a feature. The shortest is the piece’s genre; where others are nearly as short, it could as well be theirs."));
}

function genreOriginCard({ genre, genres }) {
	const described = genres[genre.genre];
	if (!described) return null;
	return card(`Where the music of genre ${genre.genre} comes from`, ...genreOrigin(described));
}

/** A map of a genre's places, and its commonest ones in words. */
export function genreOrigin({ genre, size, share_north_of_20: north, places }) {
	const commonest = places.slice(0, LISTED).map((place) => `${nameOf(place)} ${percent(place.share)}`).join(", ");
	return [
		worldMap({ places, labelled: 0, label: `World map of the places of genre ${genre}. The commonest: ${commonest}.` }),
		html("p", {}, html("strong", {}, plural(size, "piece", "pieces")),
			`, ${percent(north)} of them from north of 20° N. The commonest: ${commonest}.`),
	];
}

function commands(features, version) {
	const body = JSON.stringify({ features: [...features] });
	const lines = PATHS.map((path) => `curl -s '${new URL(path, document.baseURI)}' -H 'Content-Type: application/json' -d @piece.json`);
	return html("details", { class: "commands" },
		html("summary", {}, `The same from a command line (model ${version})`),
		html("pre", { tabindex: "0" }, [`cat > piece.json <<'END'\n${body}\nEND`, ...lines].join("\n")));
}
