// The service's own API, as any client asks it.

import { Refusal } from "./errors.js";

export const NETWORKS = ["places", "hidden", "simple"];

let key = ""; // kept here and nowhere else
let described = null;

export function useKey(value) {
	key = value;
}

/** The JSON that the service replies to GET, or to POST if there is a body. Throws Refusal. */
export async function ask(path, { body, type = "application/json", signal } = {}) {
	const headers = { Accept: "application/json" };
	if (body) headers["Content-Type"] = type;
	if (body && key) headers["X-API-Key"] = key;
	let reply;
	try {
		reply = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal });
	} catch {
		signal?.throwIfAborted();
		throw new Refusal(0, { detail: "The service cannot be reached: try again later." });
	}
	const content = await reply.json().catch(() => null);
	signal?.throwIfAborted();
	if (!reply.ok || !content) throw new Refusal(reply.status, content);
	return content;
}

/** What the service says of its genres and models; asked again when other models have answered. */
export async function description(version = described?.version) {
	if (!described || described.version !== version) {
		const [{ genres, model_version }, { manifest }] = await Promise.all([ask("genres"), ask("model")]);
		described = { genres, manifest, version: model_version };
	}
	return described;
}

export async function askAboutPiece(features, signal) {
	const body = JSON.stringify({ features: [...features] });
	const paths = ["genre", "origin?top=1000", ...NETWORKS.map((network) => `north-of-20?network=${network}`)];
	const [genre, origin, ...north] = await Promise.all(paths.map((path) => ask(path, { body, signal })));
	return { genre, origin, north, ...(await description(genre.model_version)) };
}
