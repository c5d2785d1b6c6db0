// All genres, side by side.

import { description } from "./api.js";
import { bars, card } from "./charts.js";
import { button, byId, html, p, strong } from "./elements.js";
import { genreOrigin } from "./piece.js";

const FEATURES_LISTED = 5;

/** Shows the genres; `showExample` is called with the one whose example is asked for. */
export async function showGenres(showExample) {
	const { genres } = await description();
	const most = Math.max(...genres.map((genre) => Math.abs(genre.distinctive_features[0].z_score)));
	byId("genres").replaceChildren(
		html("h2", {}, `The ${genres.length} genres`),
		html("p", { class: "lead" },
			"Groups of pieces with like features, found by K-means, largest first: neighbourhoods that nobody named, not styles. ",
			"Features go by number, since the data set does not say which is which; bars are standard deviations above (+) or below (−) the mean of all pieces."),
		html("div", { class: "columns" }, genres.map((genre) => card(`Genre ${genre.genre}`,
			...genreOrigin(genre),
			p(strong("What sets it apart")),
			bars(`The features that set genre ${genre.genre} apart`, barsOf(genre, most), "signed"),
			button(`Show an example of genre ${genre.genre}`, () => showExample(genre))))),
	);
}

const barsOf = (genre, most) => genre.distinctive_features.slice(0, FEATURES_LISTED).map(({ feature, z_score: score }) => ({
	label: `feature ${feature}`,
	share: Math.abs(score) / most,
	value: `${score < 0 ? "−" : "+"}${Math.abs(score).toFixed(1)}`,
	kind: score < 0 ? "below" : "above",
}));
