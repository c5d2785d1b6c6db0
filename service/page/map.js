// The map of the world, in the Equal Earth projection (Šavrič, Patterson and Jenny, 2018).

import { byId, nameOf, percent, svg } from "./elements.js";

const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796];
const M = Math.sqrt(3) / 2;
const RADIANS = Math.PI / 180;
const EARTH_RADIUS_KM = 6371.0088;

const WIDTH = 1000;
const SCALE = WIDTH / 2 / 2.7066; // half of the equator is so long in the projection
const [TOP, BOTTOM] = [84, -58]; // degrees of latitude shown
const LARGEST_RADIUS = 62; // of a probability of one
const SMALLEST_RADIUS = 1.6;
const LABELLED = 6;
const NORTH_LATITUDE = 20;

function project(longitude, latitude) {
	const theta = Math.asin(M * Math.sin(latitude * RADIANS));
	const [square, sixth] = [theta ** 2, theta ** 6];
	const slope = A1 + 3 * A2 * square + sixth * (7 * A3 + 9 * A4 * square);
	const x = (longitude * RADIANS * Math.cos(theta)) / (M * slope);
	const y = theta * (A1 + A2 * square + sixth * (A3 + A4 * square));
	return [WIDTH / 2 + SCALE * x, -SCALE * y];
}

const [, HIGHEST] = project(0, TOP);
const [, LOWEST] = project(0, BOTTOM);
const rounded = (number) => number.toFixed(1);
const pathOf = (points) => `M${points.map(([longitude, latitude]) => project(longitude, latitude).map(rounded)).join("L")}`;

export async function loadLand() {
	const rings = await (await fetch("page/land.json")).json();
	byId("land").setAttribute("d", rings.map((ring) => `${pathOf(decoded(ring))}Z`).join(""));
}

/** The points of a ring: tenths of a degree, each pair but the first from the one before it. */
function decoded(ring) {
	let [longitude, latitude] = [0, 0];
	const points = [];
	for (let index = 0; index < ring.length; index += 2) {
		longitude += ring[index];
		latitude += ring[index + 1];
		points.push([longitude / 10, latitude / 10]);
	}
	return points;
}

/** The points at this distance around a point, as lines that end where the map does. */
function ring({ latitude, longitude }, km) {
	const [distance, from] = [km / EARTH_RADIUS_KM, latitude * RADIANS];
	const lines = [[]];
	for (let bearing = 0; bearing <= 360; bearing += 2) {
		const sine = Math.sin(from) * Math.cos(distance) + Math.cos(from) * Math.sin(distance) * Math.cos(bearing * RADIANS);
		const away = Math.atan2(
			Math.sin(bearing * RADIANS) * Math.sin(distance) * Math.cos(from),
			Math.cos(distance) - Math.sin(from) * sine,
		);
		const point = [((longitude + away / RADIANS + 540) % 360) - 180, Math.asin(Math.max(-1, Math.min(1, sine))) / RADIANS];
		const last = lines.at(-1).at(-1);
		if (last && Math.abs(last[0] - point[0]) > 180) lines.push([]);
		lines.at(-1).push(point);
	}
	return lines.filter((line) => line.length > 1);
}

/** Places as circles whose area is their share, and a point with its error if there is one; `label` says it in words. */
export function worldMap({ places, point = null, errorKm = 0, label, labelled = LABELLED }) {
	const side = Array.from({ length: TOP - BOTTOM + 1 }, (_, index) => [180, TOP - index]);
	const edge = [...side, ...side.map(([longitude, latitude]) => [-longitude, latitude]).reverse()];
	const [lineX, lineY] = project(-180, NORTH_LATITUDE);
	const circles = [...places].sort((one, other) => other.share - one.share).map(circleOf);
	return svg(
		"svg",
		{ class: labelled ? "map" : "map small", viewBox: `0 ${HIGHEST} ${WIDTH} ${LOWEST - HIGHEST}`, role: "img", "aria-label": label },
		svg("path", { class: "sea", d: `${pathOf(edge)}Z` }),
		svg("use", { class: "land", href: "#land" }),
		svg("path", { class: "line", d: pathOf([[-180, NORTH_LATITUDE], [180, NORTH_LATITUDE]]) }),
		svg("text", { x: lineX + 8, y: lineY - 6 }, "20° N"),
		circles.map(({ name, share, side: kind, x, y, r }) =>
			svg("circle", { class: `place ${kind}`, cx: rounded(x), cy: rounded(y), r: rounded(r) }, svg("title", {}, `${name}: ${percent(share)}`))),
		point && svg("path", { class: "ring", d: ring(point, errorKm).map(pathOf).join("") }),
		point && marker(point),
		labels(circles, labelled),
	);
}

export const sideOf = (place) => (place.latitude > NORTH_LATITUDE ? "north" : "south");

function circleOf(place) {
	const [x, y] = project(place.longitude, place.latitude);
	const r = Math.max(SMALLEST_RADIUS, LARGEST_RADIUS * Math.sqrt(place.share));
	return { name: nameOf(place), share: place.share, side: sideOf(place), x, y, r };
}

function marker(point) {
	const [x, y] = project(point.longitude, point.latitude).map(rounded);
	return svg("path", { class: "marker", d: `M${x} ${y}m-9 0h18m-9 -9v18` });
}

/** Names by the largest circles, where they cover no other; only the first has one in any case. */
function labels(circles, count) {
	const [letter, height] = [8.4, 15];
	const taken = [];
	const apart = (box, x, y, away) =>
		x < box.left - away || x > box.left + box.width + away || y < box.base - height - away || y > box.base + away;
	return circles.slice(0, count).map((circle) => {
		const { name, x, y, r } = circle;
		const width = name.length * letter;
		const spots = [["start", x + r + 4, y + 5], ["end", x - r - 4, y + 5], ["middle", x, y - r - 4], ["middle", x, y + r + height], ["middle", x, y + 5]];
		const boxOf = ([anchor, from, base]) => ({ anchor, from, base, width, left: from - width * { start: 0, middle: 0.5, end: 1 }[anchor] });
		const isFree = (box) =>
			circles.every((each) => each === circle || apart(box, each.x, each.y, each.r + 6)) &&
			taken.every((other) => Math.abs(box.base - other.base) > height || apart(other, box.left + box.width / 2, other.base, width / 2));
		const boxes = spots.map(boxOf);
		const box = boxes.find(isFree) ?? (circle === circles[0] && boxes.at(-1));
		if (!box) return null;
		taken.push(box);
		return svg("text", { class: "label", x: rounded(box.from), y: rounded(box.base), "text-anchor": box.anchor }, name);
	});
}
