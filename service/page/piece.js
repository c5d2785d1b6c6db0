// What is shown of one piece.

import { bars, card, warning } from "./charts.js";
import { byId, chance, degrees, html, nameOf, p, percent, pieces, strong, whole } from "./elements.js";
import { sideOf, worldMap } from "./map.js";

const LISTED = 6;
const STANDS_OUT = 0.25; // a probability from which a place is named without reserve
const NETWORK_WORDS = { places: "by places, the best", hidden: "with a hidden layer", simple: "with a single layer" };

/** Shows what the service says of a piece, under the name of its row if it is one of a table, and with a note. */
export function showPiece(replies, name, note) {
	const { genre, origin, north } = replies;
	const told = origin.places.slice(0, 2).map((place) => `${nameOf(place)} has ${chance(place.probability)}`).join(", ");
	byId("piece").replaceChildren(
		html("h2", { id: "piece-title", tabindex: "-1" }, name && `${name}: `, title(origin.places[0], genre)),
		warning(genre.warning, "Take this with care.") || "",
		html("p", { class: "lead" }, `${told}. North of 20° N: ${chance(north[0].probability)}. Genre ${genre.genre}.`),
		p(note),
		html("div", { class: "columns" },
			html("figure", { class: "card wide" }, pieceMap(replies), html("figcaption", {},
				"A circle’s area is the probability of its place, ",
				html("span", { class: "key north" }, "north"), " or ", html("span", { class: "key south" }, "south"),
				" of the line of 20° N. The cross is the best single point, and the dashed ring around it the error to expect.")),
			placesCard(origin),
			northCard(replies),
			genreCard(replies),
			genreOriginCard(replies)));
	byId("piece").hidden = false;
}

function title(likeliest, { warning: unusual }) {
	if (unusual) return "Unlike the music that the models know";
	if (likeliest.probability < STANDS_OUT) return "No place stands out";
	return `Most like the music of ${nameOf(likeliest).replace(/^United/, "the $&")}`;
}

export function pieceMap({ origin }, labelled) {
	const likeliest = origin.places.slice(0, LISTED).map((place) => `${nameOf(place)} ${chance(place.probability)}`).join(", ");
	const label = `World map of the places it may come from. The likeliest: ${likeliest}.`;
	const places = origin.places.map((place) => ({ ...place, share: place.probability }));
	return worldMap({ places, point: origin, errorKm: origin.expected_error_km, label, labelled });
}

function placesCard(origin) {
	const { places } = origin;
	const rows = places.map((place) => ({
		label: nameOf(place),
		share: place.probability / places[0].probability,
		value: chance(place.probability),
		kind: sideOf(place),
	}));
	return card("Where it may come from",
		p(`How likely each of the ${places.length} places is that the models know. They can name no other.`),
		bars("The likeliest places", rows.slice(0, LISTED)),
		html("details", {},
			html("summary", {}, `All ${places.length} places`),
			bars("All places", rows)),
		p(strong(degrees(origin)), ` is the best single point, with the least error to expect: ${whole(origin.expected_error_km)} km. `,
			"It may lie between likely places."));
}

function northCard({ north, genre, manifest }) {
	const rows = north.map(({ network, probability: share, north_of_20: isNorth }) =>
		({ label: NETWORK_WORDS[network], share, value: chance(share), kind: isNorth ? "north" : "south" }));
	const [{ north_of_20: isNorth, probability }] = north;
	const share = chance(isNorth ? probability : 1 - probability);
	return card("North of 20° N?",
		bars("The probability of north by each network", rows, "halved"),
		p("The probability of north by three networks; beyond the middle, north is more likely. ",
			!genre.warning && `It is calibrated: of all pieces from these places for which the first says ${isNorth ? "north" : "south"} with ${share}, about that share is from there.`),
		html("p", { class: "honest" }, unseen(manifest.accuracy_unseen_places)));
}

/** How good north or south is for a place that training did not have, as it was measured. */
function unseen({ places, hidden, simple, majority }) {
	const start = "For music from a place that the models have not seen, north or south is little better than a guess";
	if (majority === undefined) return `${start}; for these models it was not measured how much better.`;
	return `${start}: of pieces from places left out of training, the first told ${percent(places)} rightly, ` +
		`the second ${percent(hidden)}, the third ${percent(simple)}, and always saying the commoner side ${percent(majority)}.`;
}

function genreCard({ genre, genres }) {
	const farthest = Math.max(...genre.distances);
	const rows = genre.distances.map((distance, number) => ({
		label: `genre ${number}`,
		share: distance / farthest,
		value: distance.toFixed(2),
		kind: number === genre.genre && "current",
	}));
	const typicality = percent(genre.typicality);
	return card(`Genre ${genre.genre}`,
		p(strong(`Typicality ${typicality}: `), `so many of its ${pieces(genres[genre.genre]?.size)} lie farther from its middle than this one.`),
		bars("The distance to the middle of each genre", rows),
		p("The distance to the middle of each genre: the shortest is its own; where others are nearly as short, it could be theirs."));
}

function genreOriginCard({ genre, genres }) {
	const described = genres[genre.genre];
	return described && card(`Where the music of genre ${genre.genre} comes from`, ...genreOrigin(described));
}

export function genreOrigin({ genre, size, share_north_of_20: north, places }) {
	const commonest = places.slice(0, LISTED).map((place) => `${nameOf(place)} ${percent(place.share)}`).join(", ");
	return [
		worldMap({ places, labelled: 0, label: `World map of the places of genre ${genre}. The commonest: ${commonest}.` }),
		p(strong(pieces(size)), `, ${percent(north)} of them from north of 20° N. The commonest: ${commonest}.`),
	];
}
