// All genres, side by side.

import { description } from "./api.js";
import { bars, card } from "./charts.js";
import { byId, html } from "./elements.js";
import { genreOrigin } from "./piece.js";

const FEATURES_LISTED = 5;

/** Shows the genres; `showExample` is called with the one whose example is asked for. */
export async function showGenres(showExample) {
	const { genres } = await description();
	byId("genres").replaceChildren(
		html("h2", {}, `The ${genres.length} genres`),
		html("p", { class: "lead" },
			"Groups of pieces with like features, found by K-means, largest first: neighbourhoods that nobody named, not styles. ",
			"Features go by number, since the data set does not say which is which."),
		html("div", { class: "columns" }, genres.map((genre) => genreCard(genre, showExample))),
	);
}

function genreCard(genre, showExample) {
	const features = genre.distinctive_features.slice(0, FEATURES_LISTED);
	const most = Math.max(...features.map((each) => Math.abs(each.z_score)));
	const rows = features.map(({ feature, z_score: score }) => ({
		label: `feature ${feature}`,
		share: Math.abs(score) / most,
		value: `${score < 0 ? "−" : "+"}${Math.abs(score).toFixed(1)}`,
	}));
	return card(`Genre ${genre.genre}`,
		...genreOrigin(genre),
		html("p", {}, html("strong", {}, "What sets it apart")),
		bars(`The features in which genre ${genre.genre} differs most from all pieces, in standard deviations`, rows),
		html("p", {}, "Standard deviations above (+) or below (−) the mean of all pieces."),
		html("button", { type: "button", onclick: () => showExample(genre) }, `Show an example of genre ${genre.genre}`));
}
